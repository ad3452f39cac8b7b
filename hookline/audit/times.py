"""Moments as people write them (RFC 3339, or back from now) and as records have them (Unix ms)."""

import re
from datetime import UTC, datetime

__all__ = ["parse_time", "show_time"]

_RELATIVE = re.compile(r"-\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_time(text: str, now: int) -> int:
    """Unix ms of `2026-11-24T10:00:00Z` (without an offset: UTC), `2026-11-24`, `now`, `-90s`, `-30m`, `-2h`, `-7d`, `-1w`.

    now: what relative ones count from, Unix ms. Raises ValueError in words.
    """
    text = text.strip()
    if text == "now":
        return now
    if match := _RELATIVE.fullmatch(text):
        return now - round(float(match[1]) * _SECONDS[match[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write 2026-11-24T10:00:00Z, 2026-11-24, now, or -2h (s, m, h, d, w)"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def show_time(at: int) -> str:
    """RFC 3339 in UTC, to the millisecond; the bare number where no calendar has it."""
    try:
        moment = datetime.fromtimestamp(at / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
