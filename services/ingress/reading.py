"""Reads what producers send as JSON: within bounds, with every number as a receiver can take it (design section 6)."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from pydantic_core import from_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from hookline.web.body import without_bom
from services.ingress.delivery import Delivery

__all__ = [
    "MAX_DEPTH",
    "check_bounds",
    "clean",
    "first_of",
    "header_text",
    "id_text",
    "json_object",
    "member",
    "millis_of",
    "parse_json",
    "seconds_to_millis",
    "tag_text",
    "text",
    "tidy",
    "whole",
]

MAX_DEPTH = 100
"""Levels of nesting. An event's own JSON has a few more, and no reader of ours goes beyond 200."""

MAX_VALUES = 50_000
"""Values in one event: a real one has some dozens, and each costs us a hundred times the memory it has as text."""

MAX_COMMAS = 2 * MAX_VALUES
"""In a body: each comma may be a value, and half a million small ones take longer to read than a registry waits for us."""

EXACT = 2**53
"""Integers below are exact in a double."""

LAST_SECOND = 253_402_300_799
"""The end of year 9999: a later time is no time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_json(body: bytes) -> JsonValue:
    """The body as JSON. Raises Unreadable."""
    if body.count(b",") > MAX_COMMAS:
        raise Unreadable(f"more than {MAX_COMMAS} commas")
    try:
        value: JsonValue = from_json(without_bom(body), allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    return value


def json_object(body: bytes) -> Payload:
    """The body as a JSON object. Raises Unreadable."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def header_text(delivery: Delivery, name: str) -> str | None:
    """A header that is not empty; bytes that are no UTF-8 are replaced."""
    return clean(delivery.headers.get(name, "")) or None


def clean(value: str) -> str:
    """Text that was a header or a query: bytes that are no UTF-8 are replaced."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def tidy(event: Payload) -> None:
    """Change an event in place: floats without a fraction, below 2^53, become integers. Keys stay where they stood.

    Raises Unreadable for a number that no double can hold, below MAX_DEPTH levels, and above MAX_VALUES values.
    """
    inside: list[tuple[Payload | list[JsonValue], int]] = [(event, 1)]
    values = 0
    while inside:
        container, depth = inside.pop()
        values += len(container)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested more than {MAX_DEPTH} levels deep")
        if values > MAX_VALUES:
            raise Unreadable(f"more than {MAX_VALUES} values")
        if isinstance(container, dict):
            for key, item in container.items():
                if isinstance(item, float):
                    container[key] = whole(item)
                elif isinstance(item, dict | list):
                    inside.append((item, depth + 1))
        else:
            for index, item in enumerate(container):
                if isinstance(item, float):
                    container[index] = whole(item)
                elif isinstance(item, dict | list):
                    inside.append((item, depth + 1))


def check_bounds(value: JsonValue) -> None:
    """Raises Unreadable as `tidy` does, and changes nothing."""
    level = [value]
    depth = values = 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        values += sum(len(item) for item in level)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested more than {MAX_DEPTH} levels deep")
        if values > MAX_VALUES:
            raise Unreadable(f"more than {MAX_VALUES} values")
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]


class WasFraction(int):
    """An integer that was written otherwise: 1.0, 1e3. How, nobody can tell any more."""


def whole(value: float) -> float | int:
    """An integer where the number is one, below 2^53. Raises Unreadable for infinity."""
    if not math.isfinite(value):
        raise Unreadable("a number is too large")
    return WasFraction(value) if value.is_integer() and abs(value) < EXACT else value


def text(value: JsonValue) -> str | None:
    """A text that is not empty; None for everything else."""
    return value if isinstance(value, str) and value else None


def member(parent: Payload, key: str) -> Payload:
    """The object under that key; an empty one where there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def first_of(parent: Payload, names: Iterable[str]) -> JsonValue:
    """The value under the first of these names that has one; None where none has."""
    return next((parent[name] for name in names if parent.get(name) not in (None, "")), None)


def tag_text(value: JsonValue) -> str | None:
    """A tag: a text, or an integer as it was written; None where there is none, or an empty list of them.

    Raises Unreadable for any other number (1.20 and 1.2 are one number and two tags), and for what is no tag at all.
    """
    if isinstance(value, float | WasFraction):
        raise Unreadable("tag: a number with a fraction or an exponent; put it in quotes")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str) and value != []:
        raise Unreadable("tag: neither text nor a number")
    return text(value)


def id_text(value: JsonValue) -> str | None:
    """An event's id: a text, or a number as its decimal text; None where there is none."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text(value)


def seconds_to_millis(value: JsonValue) -> int | None:
    """Unix seconds as Unix ms; None for what is no time between 1970 and 9999."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LAST_SECOND:
        return int(value * 1000)
    return None


def millis_of(value: JsonValue) -> int | None:
    """An RFC 3339 time as Unix ms (a finer fraction is cut); None for what is no time from 1970 on.

    One without an offset is none: it is the local time of a place that nobody told us.
    """
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    if time.tzinfo is None:
        return None
    millis = (time - _EPOCH) // _MILLISECOND
    return millis if millis >= 0 else None
