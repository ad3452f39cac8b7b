"""HOOKLINE_INGRESS_SECRETS_FILE: each source's own credentials, newest first, and tokens that name what they are good for.

    "generic/ci" = ["of the mapping ci of HOOKLINE_GENERIC_FILE"]
    github = ["newest", {secret = "older", repositories = ["acme/*"]}]
    gar = [{audience = "https://hooks.example.com/events/gar", email = "push@project.iam.gserviceaccount.com"}]

    [[tokens]]
    token = "at least 16 characters"
    sources = ["harbor", "zot"]
    repositories = ["acme/*"]

Under a source, a text is a secret: what the producer shows, or signs with; a table with `secret` is one, too. A table with
`audience` is an issuer of JWTs, and has beside it `email` (of the account), `issuer` and `jwks` (URL or file of its keys), by
default Google's. `repositories` (names and globs) limits what is pushed with it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hookline.clock import Clock
from hookline.errors import ConfigError
from hookline.secret_bounds import token_faults
from hookline.settings import Settings
from services.ingress.credentials import CredentialId, Credentials, id_of
from services.ingress.issuers import GOOGLE, GOOGLE_KEYS, Issuer, key_source
from services.ingress.named_tokens import TOKENS, NamedToken, named_tokens
from services.ingress.scope import EVERYTHING, REPOSITORIES, Scope, scope_of
from services.ingress.source import Source

__all__ = ["read_credentials", "version_of"]

SETTING = "HOOKLINE_INGRESS_SECRETS_FILE"
SECRET_KEYS = frozenset({"secret", REPOSITORIES})
ISSUER_KEYS = frozenset({"audience", "email", "issuer", "jwks", REPOSITORIES})


def read_credentials(settings: Settings, sources: Mapping[str, Source], clock: Clock) -> dict[str, Credentials]:
    """Of every source, from the settings and the file that they name. Raises ConfigError; never with a secret in it."""
    given = tuple(token.get_secret_value() for token in settings.ingress_tokens)
    for fault in token_faults(given):
        raise ConfigError(fault)
    own = _read(settings.ingress_secrets_file)
    try:
        named = named_tokens(own.pop(TOKENS, []), sources, given)
    except ValueError as error:
        raise ConfigError(f"{SETTING}: {error}") from None
    if unknown := own.keys() - sources.keys():
        raise ConfigError(f"{SETTING}: {', '.join(sorted(unknown))}: no such source; there are: {', '.join(sources)}")
    shared = [NamedToken(token.encode()) for token in given] + [token for token in named if not token.sources]
    found: dict[str, Credentials] = {}
    for name, source in sources.items():
        its_own = [token for token in named if name in token.sources]
        entries = own.get(name, [])
        found[name] = _credentials(source, its_own if its_own or entries else shared, entries, clock)
    return found


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


def _credentials(source: Source, tokens: Sequence[NamedToken], own: object, clock: Clock) -> Credentials:
    """`tokens`: those that are good for the source; `own`: what the file has under its name."""
    if not isinstance(own, list):
        raise _wrong(source, 'must be a list, newest first, such as ["new secret", "old secret"]')
    secrets, issuers, scopes = [], [], _Scopes()
    for token in tokens:
        scopes.add(id_of(token.token), token.scope)
    for one in own:
        if isinstance(one, dict) and "secret" not in one:
            issuer = _issuer(source, one, clock)
            issuers.append(issuer)
            scopes.add(id_of(issuer.name.encode()), _scope(source, one))
        else:
            secret, scope = _secret(source, one)
            secrets.append(secret)
            scopes.add(id_of(secret), scope)
    if issuers and not source.takes_issuers:
        raise _wrong(source, "sends no JWTs; its credentials are texts")
    return Credentials(tuple(token.token for token in tokens), tuple(secrets), tuple(issuers), scopes.limited())


class _Scopes:
    """Of each credential; one that is listed twice is good for what either entry says."""

    def __init__(self) -> None:
        self._known: dict[CredentialId, Scope] = {}

    def add(self, credential: CredentialId, scope: Scope) -> None:
        before = self._known.get(credential)
        self._known[credential] = scope if before is None else before | scope

    def limited(self) -> dict[CredentialId, Scope]:
        """Those that are not good for everything."""
        return {credential: scope for credential, scope in self._known.items() if scope != EVERYTHING}


def _secret(source: Source, entry: object) -> tuple[bytes, Scope]:
    table = entry if isinstance(entry, dict) else {"secret": entry}
    secret = table["secret"]
    if not isinstance(secret, str) or not secret:
        raise _wrong(source, "each entry must be non-empty text, or a table with a secret or an audience")
    if fault := next((said for check in source.checks if (said := check.fault(secret.encode()))), ""):
        raise _wrong(source, fault)
    if unknown := table.keys() - SECRET_KEYS:
        raise _wrong(source, f"a secret has no {', '.join(sorted(unknown))}; it may have {REPOSITORIES}")
    return secret.encode(), _scope(source, table)


def _scope(source: Source, table: Mapping[str, object]) -> Scope:
    try:
        return scope_of(table)
    except ValueError as error:
        raise _wrong(source, str(error)) from None


def _issuer(source: Source, table: Mapping[str, object], clock: Clock) -> Issuer:
    if unknown := table.keys() - ISSUER_KEYS:
        raise _wrong(source, f"an issuer has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(ISSUER_KEYS))}")
    given = {key: value for key, value in table.items() if key != REPOSITORIES}
    texts = {key: value for key, value in given.items() if isinstance(value, str) and value}
    if len(texts) < len(given):
        raise _wrong(source, "an issuer's values must be non-empty text")
    if "audience" not in texts:
        raise _wrong(source, "an issuer needs its audience: what the registry's subscription has for it")
    issuer = texts.get("issuer", GOOGLE)
    if issuer != GOOGLE and "jwks" not in texts:
        raise _wrong(source, "an issuer that is not Google needs jwks: the URL or the file of its keys")
    keys = key_source(texts.get("jwks", GOOGLE_KEYS), clock)
    return Issuer(issuer, texts["audience"], texts.get("email"), keys, clock)


def _wrong(source: Source, said: str) -> ConfigError:
    return ConfigError(f"{SETTING}: {source.name}: {said}")
