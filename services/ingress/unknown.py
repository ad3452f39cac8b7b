"""What is said of an event that its source does not know: it goes to quarantine, where an upgrade can take it from again.

A source ignores only what it knows to be no push, by name. Everything else might be one, in a format that nobody told us of.
"""

from pydantic import JsonValue

from hookline.errors import Unreadable

__all__ = ["unknown_event"]

MAX_SHOWN = 64
"""Characters of the event's own name for itself that the reason repeats."""


def unknown_event(what: str, found: JsonValue) -> Unreadable:
    """The error to raise. `what`: which field tells (`action`, `type`); `found`: what it holds, which anybody may have written."""
    if not isinstance(found, str):
        return Unreadable(f"unknown event: {what} is {'missing' if found is None else 'no text'}")
    shown = "".join(letter if letter.isprintable() else "?" for letter in found[:MAX_SHOWN])
    return Unreadable(f"unknown event: {what} is {shown!r}{'...' if len(found) > MAX_SHOWN else ''}")
