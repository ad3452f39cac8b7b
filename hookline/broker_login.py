"""What lets one into the broker of `hookline up`: a password that `up` makes and keeps under its data folder.

Whoever may read that folder is let in, and no other user of the machine is: a port on loopback is open to all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hookline.errors import ConfigError

__all__ = ["KAFKA_PASSWORD", "MECHANISM", "PROTOCOL", "SECRETS_FILE", "BrokerLogin", "read_secrets"]

SECRETS_FILE = "secrets.env"
"""In the data folder: `NAME=value` lines, so that a shell can read it too."""
KAFKA_PASSWORD = "HOOKLINE_KAFKA_PASSWORD"
PROTOCOL, MECHANISM = "SASL_PLAINTEXT", "PLAIN"
"""On loopback nobody listens in; PLAIN needs nothing in Kafka's data, so that a folder of an earlier version can be used as it is."""


@dataclass(frozen=True)
class BrokerLogin:
    """The broker's one user. Raises ConfigError for a password that its configuration cannot hold."""

    password: str = field(repr=False)
    username: str = "hookline"

    def __post_init__(self) -> None:
        if not (self.password.isascii() and self.password.isprintable()):
            raise ConfigError(f"{KAFKA_PASSWORD} must be printable ASCII")


def read_secrets(path: Path) -> Mapping[str, str]:
    """What a file of `NAME=value` lines holds; empty when there is none.

    Raises ConfigError when it cannot be read or others may read it.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    if mode & 0o077:
        raise ConfigError(f"{path} holds secrets and others may read it: run `chmod 600 {path}`")
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
