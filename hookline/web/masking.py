"""Hook URLs, and what receivers wrote, as pages, logs and metrics may show them (design section 5, I11)."""

import re
from urllib.parse import urlsplit

__all__ = ["mask_tokens", "mask_url"]

MASK = "***"
_NOT_ALNUM = re.compile(r"[^A-Za-z0-9]")
LONGEST = 20
_TOKEN = re.compile(r"[0-9a-f]{100,}")


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
    """`text` without callback tokens: a receiver may answer with the very body that it was sent."""
    return _TOKEN.sub(MASK, text)


def _mask_segment(segment: str) -> str:
    return MASK if len(_NOT_ALNUM.sub("", segment)) > LONGEST else segment
