"""Text from outside as the console's database keeps it: bounded, and without what no database takes.

Who compares with that database (the audit), or looks something up in it, takes the text through here first.
"""

import re

__all__ = ["KEPT", "clean_text", "is_whole", "kept_text"]

KEPT = 512
"""Characters of a name: at most 2048 bytes, and PostgreSQL puts no more than 2704 into an index."""

INSTEAD = "\ufffd"
_REFUSED = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL refuses, and half a surrogate pair, which is no UTF-8."""


def kept_text(text: str) -> str:
    """A name as it is kept: to be looked up by, and shown."""
    return clean_text(text[:KEPT])


def clean_text(text: str) -> str:
    """The whole text, with U+FFFD in place of what is refused."""
    plain = text.isascii() and "\0" not in text  # nearly all is, and that is quick to see
    return text if plain else _REFUSED.sub(INSTEAD, text)


def is_whole(kept: str) -> bool:
    """Is that, for certain, the name as it came?"""
    return len(kept) < KEPT and INSTEAD not in kept
