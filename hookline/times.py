"""Moments and durations: Unix ms, which is what records hold, to and from what people and other programs write."""

import re
from datetime import UTC, datetime, timedelta

__all__ = ["duration", "milliseconds", "moment", "parse_rfc3339", "parse_time", "relative", "rfc3339", "show_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RELATIVE = re.compile(r"-\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))
JUST_NOW_MS = 2000


def moment(at: int) -> datetime:
    """In UTC. Raises OverflowError for what no calendar holds."""
    return _EPOCH + timedelta(milliseconds=at)


def rfc3339(at: int | None) -> str | None:
    """`2026-11-24T10:40:00.123Z`; None for None, and for what no calendar holds."""
    try:
        return None if at is None else moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return None


def show_time(at: int) -> str:
    """RFC 3339 in UTC, to the millisecond; the bare number where no calendar has it."""
    return rfc3339(at) or f"{at} ms"


def parse_rfc3339(text: str) -> int:
    """Unix ms; without an offset it is UTC. Raises ValueError."""
    read = datetime.fromisoformat(text)
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


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
        return parse_rfc3339(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write 2026-11-24T10:00:00Z, 2026-11-24, now, or -2h (s, m, h, d, w)"
        ) from None


def duration(seconds: int) -> str:
    """`5 s`, `1 min 30 s`, `2 h`, `1 day`: at most the two largest units."""
    said: list[str] = []
    left = seconds
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {unit}s" if unit == "day" and count > 1 else f"{count} {unit}")
        elif said:
            break
    return " ".join(said[:2]) or "0 s"


def milliseconds(took_ms: int) -> str:
    """`12 ms`, `1.3 s`, `2 min`."""
    if took_ms < 1000:
        return f"{took_ms} ms"
    return f"{took_ms / 1000:.1f} s" if took_ms < 60_000 else duration(took_ms // 1000)


def relative(at: int, now: int) -> str:
    """A time as seen from now (both Unix ms), in one unit: `3 min ago`, `in 2 h`."""
    distance = abs(now - at)
    if distance < JUST_NOW_MS:
        return "just now"
    seconds = distance // 1000
    size = next(size for size, _ in _UNITS if seconds >= size)
    said = duration(seconds // size * size)
    return f"in {said}" if at > now else f"{said} ago"
