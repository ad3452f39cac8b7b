"""The secrets that `hookline up` makes once and keeps under its data folder, readable by their owner only."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from hookline.broker_login import KAFKA_PASSWORD, SECRETS_FILE, read_secrets
from hookline.chain.keys import KeyRing
from hookline.errors import ConfigError
from hookline.secret_bounds import password_fault, token_faults
from hookline.settings import Settings, load_settings

__all__ = ["BROKER_MAKERS", "SecretFile", "check_strength", "local_settings"]

MODE = 0o600
MASTER_KEYS = "HOOKLINE_MASTER_KEYS"
ADMIN_PASSWORD = "HOOKLINE_ADMIN_PASSWORD"
INGRESS_TOKENS = "HOOKLINE_INGRESS_TOKENS"


def _master_key() -> str:
    return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()


MAKERS: Mapping[str, Callable[[], str]] = {
    MASTER_KEYS: _master_key,
    ADMIN_PASSWORD: lambda: secrets.token_urlsafe(12),
    INGRESS_TOKENS: lambda: secrets.token_urlsafe(24),
}
BROKER_MAKERS: Mapping[str, Callable[[], str]] = {KAFKA_PASSWORD: lambda: secrets.token_urlsafe(24)}
"""Made where the broker is ours; with another Kafka its password is the user's to give. Read by `load_settings`."""


class SecretFile:
    """`DIR/secrets.env`."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / SECRETS_FILE

    def read(self) -> dict[str, str]:
        """What it holds; empty when there is none. Raises ConfigError when it cannot be read or others may read it."""
        return dict(read_secrets(self.path))

    def complete(self, given: Mapping[str, str], *, own_broker: bool) -> tuple[dict[str, str], frozenset[str]]:
        """Every secret, and the names of those made just now. What `given` (the environment) sets wins and is never written.

        Raises ConfigError when the file cannot be read or written.
        """
        makers = {**MAKERS, **(BROKER_MAKERS if own_broker else {})}
        kept = self.read()
        made = {name: make() for name, make in makers.items() if not given.get(name) and not kept.get(name)}
        if made:
            self._write(kept | made)
        merged = {name: given.get(name) or kept.get(name) or made[name] for name in makers}
        return merged, frozenset(made)

    def completing(self, given: Mapping[str, str]) -> dict[str, str]:
        """What `up` made that `given` (the environment) does not set. Raises ConfigError as `read`."""
        return {name: value for name, value in self.read().items() if name in MAKERS and not given.get(name)}

    def _write(self, values: Mapping[str, str]) -> None:
        text = "# Made by `hookline up`. Whoever has HOOKLINE_MASTER_KEYS can sign callbacks and hooks: keep it.\n"
        text += "".join(f"{name}={value}\n" for name, value in values.items())
        draft = self.path.with_suffix(".new")
        try:
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error}") from None


def check_strength(secrets: Mapping[str, str]) -> None:
    """Refuse, before anything is started, what a service would refuse. Raises ConfigError."""
    KeyRing.parse(one for one in secrets[MASTER_KEYS].split(",") if one.strip())
    tokens = tuple(token.strip() for token in secrets[INGRESS_TOKENS].split(",") if token.strip())
    for fault in filter(None, (password_fault(secrets[ADMIN_PASSWORD]), *token_faults(tokens))):
        raise ConfigError(fault)


def local_settings(data_dir: Path) -> Settings:
    """Settings of a command beside `hookline up`: the environment's, completed by what `up` made. Raises ConfigError."""
    from_file = SecretFile(data_dir).completing(os.environ)
    fields = {name.removeprefix("HOOKLINE_").lower(): value for name, value in from_file.items()}
    return load_settings(data_dir=data_dir.absolute(), **fields)
