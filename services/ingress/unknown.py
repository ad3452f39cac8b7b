"""What is said of an event that its source does not know: it goes to quarantine, where an upgrade can take it from again.

A source ignores only what it knows to be no push, by name. Everything else might be one, in a format that nobody told us of.
"""

from collections.abc import Container, Mapping

from pydantic import JsonValue

from hookline.errors import Unreadable
from services.ingress.delivery import Ignored, IgnoredReason

__all__ = ["no_push", "unknown_event"]

MAX_SHOWN = 64
"""Characters of the event's own name for itself that the reason repeats."""


def no_push(what: str, found: JsonValue, pushes: Container[str], others: Mapping[str, IgnoredReason]) -> Ignored | None:
    """Why that event is no push, by a table of its source; None for a push. Raises Unreadable for one in neither.

    `what` and `found` as of `unknown_event`.
    """
    name = found if isinstance(found, str) else ""
    if name in others:
        return Ignored(others[name])
    if name not in pushes:
        raise unknown_event(what, found)
    return None


def unknown_event(what: str, found: JsonValue) -> Unreadable:
    """The error to raise. `what`: which field tells (`action`, `type`); `found`: what it holds, which anybody may have written."""
    if not isinstance(found, str):
        return Unreadable(f"unknown event: {what} is {'missing' if found is None else 'no text'}")
    shown = "".join(letter if letter.isprintable() else "?" for letter in found[:MAX_SHOWN])
    return Unreadable(f"unknown event: {what} is {shown!r}{'...' if len(found) > MAX_SHOWN else ''}")
