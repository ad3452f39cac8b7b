"""Several tags in one event are several pushes: the event is taken apart, each part with a list of one tag.

The list stays one in `raw`, so that whoever reads it again knows that the event's id was not this push's alone.
"""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from hookline.chain.events import Payload
from services.ingress.delivery import Push

__all__ = ["Keys", "only_tag", "tags_apart", "with_own_id"]

Keys = tuple[str, ...]
"""Where a value stands in an event: `("push_data", "tag")`."""


def tags_apart(event: Payload, places: Sequence[Keys]) -> Iterator[Payload] | None:
    """Copies of the event with one tag each; None where there is nothing to take apart.

    places: where the producer's events have their tag.
    """
    for keys in places:
        found = _at(event, keys)
        if isinstance(found, list) and len(found) > 1:
            return (_with(event, keys, [tag]) for tag in found)
    return None


def only_tag(event: Payload, places: Sequence[Keys]) -> bool:
    """Put a tag that stands in a list of one in that one's place. Was there one?"""
    for keys in places:
        found = _at(event, keys)
        if isinstance(found, list) and len(found) == 1:
            holder = event
            for key in keys[:-1]:
                inner = holder[key]
                assert isinstance(inner, dict)
                holder = inner
            holder[keys[-1]] = found[0]
            return True
    return False


def with_own_id(push: Push) -> str | None:
    """The producer's id of a push whose event may have had others."""
    return f"{push.producer_id}/{push.tag}" if push.producer_id is not None else None


def _at(event: Payload, keys: Keys) -> JsonValue:
    found: JsonValue = event
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _with(event: Payload, keys: Keys, value: list[JsonValue]) -> Payload:
    """A copy whose value at `keys` is another; all else is shared."""
    key, *inner = keys
    if not inner:
        return {**event, key: value}
    parent = event[key]
    assert isinstance(parent, dict)
    return {**event, key: _with(parent, tuple(inner), value)}
