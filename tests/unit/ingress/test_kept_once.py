"""The same body that cannot be read lies in quarantine once, however often it is delivered."""

import asyncio
from unittest.mock import ANY

import pytest

from hookline.errors import AppendFailed, Unavailable
from services.ingress.kept_once import WINDOW_S, BodyKey, KeptOnce
from services.ingress.metrics import QUARANTINE_REPEATS, QUARANTINED
from tests.kit.waiting import until
from tests.metric_values import value_of
from tests.unit.ingress.conftest import BEARER, Ingress

KEY = BodyKey("dockerhub", "not JSON", b"1")
WINDOW_MS = WINDOW_S * 1000
BROKEN = '{"push_data":'


class Appends:
    """Counts; `gate` holds them back, `fails` breaks the next ones."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.made += 1
        await self.gate.wait()
        if self.fails:
            self.fails -= 1
            raise AppendFailed("no ack")
        return self.made


async def test_once_in_a_window() -> None:
    kept, append = KeptOnce(), Appends()
    moments = (0, 1, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1)
    assert [await kept.keep(KEY, 10**12 + at, append) for at in moments] == [True, False, False, True, False]
    assert append.made == 2


async def test_a_clock_that_went_back_keeps_it_once_more() -> None:
    kept, append = KeptOnce(), Appends()
    assert [await kept.keep(KEY, at, append) for at in (10**12, 10**12 - 1)] == [True, True]


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(source="quay"),
        KEY._replace(reason="no repository"),
        KEY._replace(digest=b"2"),
        KEY._replace(headers=frozenset({("ce-id", "2")})),
    ],
)
async def test_another_source_reason_or_body_is_another(other: BodyKey) -> None:
    kept, append = KeptOnce(), Appends()
    assert [await kept.keep(key, 10**12, append) for key in (KEY, other, KEY, other)] == [True, True, False, False]


async def test_what_is_remembered_is_bounded() -> None:
    kept, append = KeptOnce(remembered=2), Appends()
    keys = [KEY._replace(digest=bytes([n])) for n in (1, 2, 3, 2, 3, 1)]
    assert [await kept.keep(key, 10**12, append) for key in keys] == [True, True, True, False, False, True]


async def test_what_was_not_taken_is_not_there() -> None:
    kept, append = KeptOnce(), Appends()
    append.fails = 1
    with pytest.raises(AppendFailed):
        await kept.keep(KEY, 10**12, append)
    assert append.fails == 0
    assert await kept.keep(KEY, 10**12, append)


@pytest.mark.parametrize("end", ["acked", "failed", "cancelled"])
async def test_many_at_once_share_the_fate_of_the_first(end: str) -> None:
    kept, append = KeptOnce(), Appends()
    append.gate.clear()
    append.fails = int(end == "failed")
    tries = [asyncio.create_task(kept.keep(KEY, 10**12, append)) for _ in range(5)]
    await until(lambda: append.made)
    tries[-1].cancel()
    await asyncio.wait({tries[-1]})
    if end == "cancelled":
        tries[0].cancel()
    append.gate.set()
    first, *others, gone = await asyncio.gather(*tries, return_exceptions=True)
    assert append.made == 1
    assert append.fails == 0
    assert isinstance(gone, asyncio.CancelledError)
    if end == "acked":
        assert (first, others) == (True, [False] * 3)
        return
    assert isinstance(first, AppendFailed if end == "failed" else asyncio.CancelledError)
    assert [type(one) for one in others] == [Unavailable] * 3
    assert await kept.keep(KEY, 10**12, append)


async def test_by_http(ingress: Ingress) -> None:
    counters = [metric.labels("dockerhub") for metric in (QUARANTINED, QUARANTINE_REPEATS)]
    before = [value_of(one) for one in counters]
    for _ in range(60):
        assert await ingress.deliver("dockerhub", BROKEN) == {
            "accepted": 0,
            "duplicates": 0,
            "ignored": 0,
            "quarantined": 1,
            "reason": ANY,
        }
    await ingress.deliver("dockerhub", BROKEN + " ")
    await ingress.deliver("quay", BROKEN)
    await ingress.deliver("dockerhub", BROKEN, {**BEARER, "X-Request-Id": "2", "User-Agent": "other"})
    assert [(kept.source, kept.raw) for kept in ingress.quarantine()] == [
        ("dockerhub", BROKEN),
        ("dockerhub", BROKEN + " "),
        ("quay", BROKEN),
    ]
    assert [value_of(one) - was for one, was in zip(counters, before, strict=True)] == [2, 60]
    ingress.clock.advance(WINDOW_S)
    await ingress.deliver("dockerhub", BROKEN)
    assert len(ingress.quarantine()) == 4


async def test_while_kafka_is_away_a_repeat_of_what_is_there_is_good_and_another_is_not(ingress: Ingress) -> None:
    await ingress.deliver("dockerhub", BROKEN)
    ingress.cluster.down = True
    await ingress.deliver("dockerhub", BROKEN)
    assert (await ingress.post("dockerhub", BROKEN + " ")).status == 503
    ingress.cluster.down = False
    await ingress.deliver("dockerhub", BROKEN + " ")
    assert len(ingress.quarantine()) == 2
