"""Hook URLs, and what receivers wrote, as pages, logs and metrics may show them (design section 5, I11)."""

import re
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

__all__ = ["MASK", "mask_json", "mask_tokens", "mask_url"]

MASK = "***"
_NOT_ALNUM = re.compile(r"[^A-Za-z0-9]")
LONGEST = 20
SHORTEST = 100
"""Hexadecimal digits; a token has more (`hookline.chain.callback_tokens`), and no digest that is about has as many but one (SHA-512)."""
ENCODINGS = 3
"""One in another that are looked through."""
_HEX = "3[0-9]|[46][1-6]"
"""The codes of a hexadecimal digit, as hexadecimal."""
_DIGIT = (
    rf"(?:[0-9a-f]|%(?:25)*(?:{_HEX})|\\+(?:u00|x)(?:{_HEX})|&#x0*(?:{_HEX});?"
    r"|&#0*(?:4[89]|5[0-7]|6[5-9]|70|9[7-9]|10[0-2]);?)"
)
"""A digit as it is, or percent-encoded (so many times), escaped as in JSON, or as in HTML."""
_TOKEN = re.compile(rf"(?<!%)(?<!%[0-9a-f]){_DIGIT}{{{SHORTEST},}}", re.IGNORECASE)
_LOOKS_LIKE_IT = re.compile(rf"[0-9A-FXUa-fxu%&#;\\]{{{SHORTEST},}}")
"""Any text that has a token in such an encoding; quick to see, and nearly none has."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{60,}(?:\r?\n[A-Za-z0-9+/_-]+)*")
"""Folded into lines or not."""
_PRINTABLE = re.compile(rb"[\t\r\n -~]{100,}")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_-]")
_URL_SAFE = str.maketrans("-_", "+/")
_BACKSLASH = re.compile(r"\\+(?:u00|x)([0-9a-fA-F]{2})")


def mask_url(url: str) -> str:
    """`url` without userinfo, query and fragment, and with path segments over 20 letters and digits masked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return MASK
    if not parts.scheme or not host:
        return MASK
    shown = f"[{host}]" if ":" in host else host
    place = f"{shown}:{port}" if port is not None else shown
    return f"{parts.scheme}://{place}" + "/".join(map(_mask_segment, parts.path.split("/")))


def mask_tokens(text: str) -> str:
    """`text` without callback tokens, in whatever encoding they stand: a receiver may say the very URL or body that it was sent.

    Where a token lies deeper than it could be cut out of (an encoding of an encoding), nothing of the text is left.
    """
    if len(text) < SHORTEST:
        return text
    said = _BASE64.sub(_mask_base64, _TOKEN.sub(MASK, text) if _LOOKS_LIKE_IT.search(text) else text)
    return MASK if _holds_token(said, ENCODINGS) else said


def mask_json(value: JsonValue) -> JsonValue:
    """JSON without callback tokens, in names and values."""
    if isinstance(value, str):
        return mask_tokens(value)
    if isinstance(value, dict):
        return {mask_tokens(name): mask_json(inner) for name, inner in value.items()}
    return [mask_json(inner) for inner in value] if isinstance(value, list) else value


def _mask_base64(found: re.Match[str]) -> str:
    return MASK if _is_base64_of_token(found[0], ENCODINGS) else found[0]


def _holds_token(text: str, encodings: int) -> bool:
    """encodings: so many around it are looked through."""
    if len(text) < SHORTEST:
        return False
    if _LOOKS_LIKE_IT.search(text) and _TOKEN.search(text):
        return True
    if not encodings:
        return False
    return any(_holds_token(one, encodings - 1) for one in _decoded(text)) or any(
        _is_base64_of_token(found[0], encodings) for found in _BASE64.finditer(text)
    )


def _decoded(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text)
    if "&" in text:
        yield unescape(text)
    if "\\" in text:
        yield _BACKSLASH.sub(lambda found: chr(int(found[1], 16)), text)


def _is_base64_of_token(run: str, encodings: int) -> bool:
    """It may begin with letters that are no part of it, so each of the four alignments is tried; NULs between (UTF-16) go."""
    letters = _NOT_BASE64.sub("", run).translate(_URL_SAFE)
    for begin in range(4):
        part = letters[begin:]
        decoded = b64decode(part[: len(part) // 4 * 4]).replace(b"\0", b"")
        if any(_holds_token(found.decode(), encodings - 1) for found in _PRINTABLE.findall(decoded)):
            return True
    return False


def _mask_segment(segment: str) -> str:
    return MASK if len(_NOT_ALNUM.sub("", segment)) > LONGEST else segment
