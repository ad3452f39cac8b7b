"""A raw record of any topic as `hookline log show` prints it, without what may be secret (I11)."""

from collections.abc import Iterator
from typing import TypeAlias

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from hookline.cli.terminal import plain, plain_lines
from hookline.errors import Undecodable
from hookline.log.codec import decode
from hookline.log.records import LOGS, DamagedBatch, RawRecord, Topic
from hookline.web.masking import mask_tokens, mask_url

__all__ = ["masked", "shown"]

Json: TypeAlias = JsonValue

URLS = frozenset({"url", "hook_url", "target_url", "upstream_callback_url"})
"""Fields whose text is a URL."""
BODIES = frozenset({"raw", "payload", "headers", "answer"})
"""Fields that hold what a registry or a receiver sent: only their size is shown."""
LONGEST_KEY = 200


def shown(raw: RawRecord) -> Iterator[str]:
    """Lines of Rich markup: key, headers, whether it can be read, and its value."""
    if raw.key is not None:
        yield f"[quiet]key[/] {plain(_text(raw.key)[:LONGEST_KEY])}"
    for name, value in raw.headers.items():
        yield f"[quiet]{plain(name)}[/] {plain(_text(value)[:LONGEST_KEY])}"
    if raw.place.topic in LOGS:
        try:
            decode(raw)
        except Undecodable as error:
            yield f"[bad]cannot be read:[/] {plain(error.reason)}"
    if isinstance(raw, DamagedBatch):
        return
    if raw.value is None:
        yield "[quiet]no value: a tombstone[/]"
    elif raw.place.topic is Topic.SNAPSHOTS:
        yield "[quiet]a part of a snapshot: `hookline audit verify` reads it[/]"
    else:
        yield plain_lines(_value(raw.value))


def masked(value: Json, field: str = "") -> Json:
    """JSON as it may be shown: URLs masked, bodies as their size, callback tokens nowhere."""
    if field in BODIES and value not in (None, "", {}):
        return f"({len(to_json(value))} bytes)"
    if isinstance(value, dict):
        return {name: masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        return mask_url(value) if field in URLS else mask_tokens(value)
    return value


def _value(value: bytes) -> str:
    try:
        found: Json = from_json(value)
    except ValueError:
        return f"({len(value)} bytes that are no JSON)"
    if not isinstance(found, dict):
        return f"({len(value)} bytes of JSON that are not an object)"
    return to_json(masked(found), indent=2).decode()


def _text(value: bytes) -> str:
    """Ids of snapshots are bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
