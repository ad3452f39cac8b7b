"""HTTP dates: the three forms that RFC 9110 section 5.6.7 has every recipient read, always as GMT."""

import re
from datetime import UTC, datetime, timedelta

from hookline.times import moment

__all__ = ["parse_http_date"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE = r"(?: (?:GMT|UTC|(?P<sign>[+-])(?P<zone_hours>\d\d)(?P<zone_minutes>\d\d)))?"
"""Only GMT is right; an offset is what mail libraries write."""
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"[a-z]{{3}}, (?P<day>\d\d?) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME}{_ZONE}",  # IMF-fixdate
        rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME}{_ZONE}",  # RFC 850
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",  # asctime
    )
)
_LONGEST = 64
FUTURE_YEARS = 50
"""A year of two digits that seems more than this ahead is the last one that ends so (RFC 9110)."""


def parse_http_date(text: str, now_ms: int) -> float | None:
    """Unix seconds; None for what is no such date. `now_ms` (Unix ms) tells the century of a year of two digits."""
    if len(text) > _LONGEST:
        return None
    for form in _FORMS:
        if (found := form.fullmatch(text)) is not None:
            return _seconds(found.groupdict(), now_ms)
    return None


def _seconds(said: dict[str, str | None], now_ms: int) -> float | None:
    try:
        day, year, hour, minute, second = (
            int(said[part] or "") for part in ("day", "year", "hour", "minute", "second")
        )
        month = _MONTHS.index((said["month"] or "").lower()) + 1
        if len(said["year"] or "") == 2:
            year = _with_century(year, moment(now_ms).year)
        # A leap second is the second after it: datetime has none.
        read = datetime(year, month, day, hour, minute, 0, tzinfo=UTC) + timedelta(seconds=min(second, 60))
        ahead = timedelta(hours=int(said.get("zone_hours") or 0), minutes=int(said.get("zone_minutes") or 0))
        return read.timestamp() + (1 if said.get("sign") == "-" else -1) * ahead.total_seconds()
    except (ValueError, OverflowError):
        return None


def _with_century(year: int, this_year: int) -> int:
    full = this_year // 100 * 100 + year
    return full - 100 if full > this_year + FUTURE_YEARS else full
