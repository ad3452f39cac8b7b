"""HOOKLINE_INGRESS_SECRETS_FILE: each source's own credentials, newest first.

    github = ["newest", "older"]
    gar = [{audience = "https://hooks.example.com/events/gar", email = "push@project.iam.gserviceaccount.com"}]

A text is a secret: what the producer shows, or signs with. A table is an issuer of JWTs: `audience`, and beside it `email`
(of the account), `issuer` and `jwks` (URL or file of its keys), by default Google's.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from hookline.clock import Clock
from hookline.errors import ConfigError
from hookline.secret_bounds import token_faults
from hookline.settings import Settings
from services.ingress.credentials import Credentials
from services.ingress.issuers import GOOGLE, GOOGLE_KEYS, Issuer, key_source
from services.ingress.source import Source

__all__ = ["read_credentials", "version_of"]

SETTING = "HOOKLINE_INGRESS_SECRETS_FILE"
ISSUER_KEYS = frozenset({"audience", "email", "issuer", "jwks"})


def read_credentials(settings: Settings, sources: Mapping[str, Source], clock: Clock) -> dict[str, Credentials]:
    """Of every source, from the settings and the file that they name. Raises ConfigError; never with a secret in it."""
    given = tuple(token.get_secret_value() for token in settings.ingress_tokens)
    for fault in token_faults(given):
        raise ConfigError(fault)
    tokens = tuple(token.encode() for token in given)
    own = _read(settings.ingress_secrets_file)
    if unknown := own.keys() - sources.keys():
        raise ConfigError(f"{SETTING}: {', '.join(sorted(unknown))}: no such source; there are: {', '.join(sources)}")
    return {name: _credentials(source, tokens, own.get(name, []), clock) for name, source in sources.items()}


def version_of(path: str) -> object:
    """Another value once the file was written anew, or replaced (as Kubernetes does with a mounted Secret); None without one."""
    try:
        found = Path(path).stat() if path else None
    except OSError:
        return None
    return found and (found.st_ino, found.st_mtime_ns, found.st_size)


def _read(path: str) -> dict[str, object]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"{SETTING}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{SETTING}: {path} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{SETTING}: {path} is not TOML: {error}") from None


def _credentials(source: Source, tokens: tuple[bytes, ...], own: object, clock: Clock) -> Credentials:
    if not isinstance(own, list):
        raise _wrong(source, 'must be a list, newest first, such as ["new secret", "old secret"]')
    secrets, issuers = [], []
    for one in own:
        if isinstance(one, str) and one:
            secrets.append(one.encode())
        elif isinstance(one, dict):
            issuers.append(_issuer(source, one, clock))
        else:
            raise _wrong(source, "each of the list must be a text that is not empty, or a table with an audience")
    if issuers and not source.takes_issuers:
        raise _wrong(source, "sends no JWTs; its credentials are texts")
    return Credentials(tokens, tuple(secrets), tuple(issuers))


def _issuer(source: Source, table: Mapping[str, object], clock: Clock) -> Issuer:
    if unknown := table.keys() - ISSUER_KEYS:
        raise _wrong(source, f"an issuer has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(ISSUER_KEYS))}")
    texts = {key: value for key, value in table.items() if isinstance(value, str) and value}
    if len(texts) < len(table):
        raise _wrong(source, "an issuer's values are texts that are not empty")
    if "audience" not in texts:
        raise _wrong(source, "an issuer needs its audience: what the registry's subscription has for it")
    issuer = texts.get("issuer", GOOGLE)
    if issuer != GOOGLE and "jwks" not in texts:
        raise _wrong(source, "an issuer that is not Google needs jwks: the URL or the file of its keys")
    keys = key_source(texts.get("jwks", GOOGLE_KEYS), clock)
    return Issuer(issuer, texts["audience"], texts.get("email"), keys, clock)


def _wrong(source: Source, said: str) -> ConfigError:
    return ConfigError(f"{SETTING}: {source.name}: {said}")
