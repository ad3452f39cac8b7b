"""HOOKLINE_GENERIC_FILE: the mappings of the source `generic` that have a name, each a table of its own.

    [ci]
    image = "artifact.reference"
    when = "event == 'published'"
    default_registry = "registry.example.com"
    signature = {header = "X-Signature", prefix = "sha256=", algorithm = "sha256", encoding = "hex"}

`secret_header = "X-Token"` or `standard_webhooks = true` in place of `signature` are other ways in which its producer proves who
it is; without any it is as at `/events/generic`. The secrets themselves stand in HOOKLINE_INGRESS_SECRETS_FILE.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from hookline.chain.registry_names import registry_name
from hookline.clock import Clock
from hookline.errors import ConfigError
from services.ingress.checks import Algorithm, Check, Encoding, Hmac, SecretHeader
from services.ingress.expression import Expression
from services.ingress.mapping import FIELDS, BodyMapping
from services.ingress.name_grammar import is_registry
from services.ingress.push_records import KEPT_HEADERS
from services.ingress.reference import host_of
from services.ingress.standard_webhooks import MESSAGE_ID, StandardWebhooks

__all__ = ["NAME", "SETTING", "NamedMapping", "default_registry_of", "read_mappings"]

SETTING = "HOOKLINE_GENERIC_FILE"
MAX_FILE = 256 * 1024
"""Bytes."""
MAX_MAPPINGS = 100
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""Of a mapping: it stands in a URL, in metrics and in every push."""

DEFAULT_REGISTRY = "default_registry"
SIGNATURE, SECRET_HEADER, STANDARD_WEBHOOKS = "signature", "secret_header", "standard_webhooks"
CREDENTIALS = (SIGNATURE, SECRET_HEADER, STANDARD_WEBHOOKS)
KEYS = (*FIELDS, DEFAULT_REGISTRY, *CREDENTIALS)
SIGNATURE_KEYS = ("header", "prefix", "algorithm", "encoding")

_HEADER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[!-~]{0,32}")
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)


class NamedMapping(NamedTuple):
    """`checks`: how its producer proves who it is; empty where the file does not say."""

    name: str
    mapping: BodyMapping
    checks: tuple[Check, ...]


def read_mappings(path: str, clock: Clock) -> list[NamedMapping]:
    """In the order of their names; none for "". Raises ConfigError, which names file, mapping and field."""
    if not path:
        return []
    tables = _read(path)
    if len(tables) > MAX_MAPPINGS:
        raise ConfigError(f"{SETTING}: {path}: more than {MAX_MAPPINGS} mappings")
    found = []
    for name, table in sorted(tables.items()):
        try:
            found.append(_mapping(name, table, clock))
        except ValueError as error:
            raise ConfigError(f"{SETTING}: {path}: {name[:64]}: {error}") from None
    return found


def default_registry_of(given: str) -> str:
    """As pushes name it. Raises ValueError for what is no registry."""
    registry = registry_name(host_of(given) or given)
    if not is_registry(registry):
        raise ValueError("not a host with or without a port, such as registry.example.com")
    return registry


def _read(path: str) -> dict[str, object]:
    try:
        with Path(path).open("rb") as file:
            read = file.read(MAX_FILE + 1)
        if len(read) > MAX_FILE:
            raise ConfigError(f"{SETTING}: {path}: larger than {MAX_FILE // 1024} KiB")
        return tomllib.loads(read.decode())
    except OSError as error:
        raise ConfigError(f"{SETTING}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{SETTING}: {path} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{SETTING}: {path} is not TOML: {error}") from None


def _mapping(name: str, table: object, clock: Clock) -> NamedMapping:
    """Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError("a mapping's name is 1 to 32 small letters, digits and hyphens")
    if not isinstance(table, dict):
        raise ValueError(f"must be a table: [{name}]")
    if unknown := table.keys() - set(KEYS):
        raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(KEYS)}")
    expressions = {field: _expression(field, table) for field in FIELDS if field in table}
    registry = ""
    if DEFAULT_REGISTRY in table:
        try:
            registry = default_registry_of(_text(DEFAULT_REGISTRY, table))
        except ValueError as error:
            raise ValueError(f"{DEFAULT_REGISTRY}: {error}") from None
    mapping = BodyMapping(expressions, lambda field: f"`{field}` of the mapping {name}", registry)
    if not mapping.is_complete:
        raise ValueError("neither image nor repository: one of them must say where the image's name is")
    return NamedMapping(name, mapping, tuple(_checks(table, clock)))


def _expression(field: str, table: Mapping[str, object]) -> Expression:
    written = _text(field, table)
    try:
        return Expression(written)
    except ValueError as error:
        raise ValueError(f"{field} is {error}") from None


def _checks(table: Mapping[str, object], clock: Clock) -> list[Check]:
    """Of the credential that it names; one at most. Raises ValueError."""
    given = [key for key in CREDENTIALS if key in table]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: a mapping has one of these")
    checks: list[Check] = []
    if SIGNATURE in given:
        checks.append(_signature(table[SIGNATURE]))
    if SECRET_HEADER in given:
        checks.append(SecretHeader(_header(SECRET_HEADER, _text(SECRET_HEADER, table))))
    if STANDARD_WEBHOOKS in given:
        if table[STANDARD_WEBHOOKS] is not True:
            raise ValueError(f"{STANDARD_WEBHOOKS}: true, or left out")
        checks.append(StandardWebhooks(clock))
    return checks


def _signature(table: object) -> Hmac:
    """Raises ValueError."""
    if not isinstance(table, dict) or "header" not in table:
        raise ValueError(f'{SIGNATURE}: must be a table with a header, such as {{header = "X-Signature"}}')
    if unknown := table.keys() - set(SIGNATURE_KEYS):
        raise ValueError(f"{SIGNATURE}: has no {', '.join(sorted(unknown))}; it has {', '.join(SIGNATURE_KEYS)}")
    prefix = table.get("prefix", "")
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{SIGNATURE}: prefix: at most 32 printable characters of ASCII, none of them a space")
    algorithm = next((one for one in ALGORITHMS if one == table.get("algorithm", "sha256")), None)
    if algorithm is None:
        raise ValueError(f"{SIGNATURE}: algorithm: one of {', '.join(ALGORITHMS)}")
    encoding = next((one for one in ENCODINGS if one == table.get("encoding", "hex")), None)
    if encoding is None:
        raise ValueError(f"{SIGNATURE}: encoding: one of {', '.join(ENCODINGS)}")
    header = _header(SIGNATURE, _text("header", table))
    return Hmac(header, prefix, algorithm=algorithm, encoding=encoding, of_form=True, bare=True)


def _header(field: str, header: str) -> str:
    """Raises ValueError: what pushes keep of a delivery may hold no secret (I11)."""
    if not _HEADER.fullmatch(header):
        raise ValueError(f"{field}: header: 1 to 64 letters, digits and hyphens")
    if header.lower() in KEPT_HEADERS | {MESSAGE_ID}:
        raise ValueError(f"{field}: {header} is kept with every push, so it must not hold a secret")
    return header


def _text(key: str, table: Mapping[str, object]) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key}: must be non-empty text")
    return value
