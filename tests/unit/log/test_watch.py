"""The look at the topics every minute: when it is taken, what it says and how often, and what ends the process."""

import asyncio
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from hookline.errors import ForeignLog, LogUnavailable, Refused, TopicsUnfit
from hookline.log.watch import LOOK_S, MENDING_S, LogState, LogWatch
from hookline.testing.manual_clock import ManualClock
from tests.kit.waiting import until

LOG_ID = UUID(int=7)
GOOD = LogState(LOG_ID)
NARROW = LogState(LOG_ID, narrow=("x.pushes has max.message.bytes=5",))
DENIED = LogState(LOG_ID, denied=("Kafka does not let us write to x.pushes",))


class Topics:
    """What the next looks find."""

    def __init__(self) -> None:
        self.found: LogState | Exception = GOOD
        self.looks = 0

    async def check(self) -> LogState:
        self.looks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Running:
    def __init__(self) -> None:
        self.topics, self.clock = Topics(), ManualClock()
        self.watch = LogWatch(self.topics.check, self.clock)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        assert await self.watch.look() == GOOD
        self.task = asyncio.create_task(self.watch.run())
        await settle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()

    async def look(self) -> None:
        """Whatever it waits for, it looks once more."""
        seen = self.topics.looks
        await until(lambda: self.topics.looks > seen or self.ended, pause_s=0, meanwhile=lambda: self.clock.advance(1))
        await settle()

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task.done()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def running() -> Running:
    running = Running()
    await running.start()
    return running


async def test_it_looks_once_a_minute(running: Running) -> None:
    assert running.topics.looks == 1
    await running.pass_time(LOOK_S - 1)
    assert running.topics.looks == 1
    await running.pass_time(1)
    assert running.topics.looks == 2


async def test_it_looks_sooner_when_somebody_hurries_and_not_at_every_call(running: Running) -> None:
    for _ in range(100):
        running.watch.hurry()
    await settle()
    await running.pass_time(1)
    assert running.topics.looks == 2
    await running.pass_time(LOOK_S / 2)
    assert running.topics.looks == 2


async def test_a_limit_is_said_once_and_stands_in_readiness_until_it_is_mended(running: Running) -> None:
    assert running.watch.noted("ready") == "ready"
    with capture_logs() as lines:
        running.topics.found = NARROW
        for _ in range(3):
            await running.look()
        assert running.watch.noted("ready") == "ready; x.pushes has max.message.bytes=5"
        assert running.watch.denied == ""
        running.topics.found = GOOD
        await running.look()
    assert running.watch.noted("ready") == "ready"
    assert [(line["log_level"], line["reason"]) for line in lines] == [
        ("error", NARROW.narrow[0]),
        ("info", NARROW.narrow[0]),
    ]


async def test_a_missing_right_is_looked_at_often_so_that_it_is_soon_known_to_be_given(running: Running) -> None:
    running.topics.found = DENIED
    await running.look()
    assert running.watch.denied == DENIED.denied[0]
    assert REGISTRY.get_sample_value("hookline_missing_rights") == 1
    seen = running.topics.looks
    running.topics.found = GOOD
    await running.pass_time(MENDING_S)
    assert running.topics.looks == seen + 1
    assert running.watch.denied == ""
    assert REGISTRY.get_sample_value("hookline_missing_rights") == 0


async def test_kafka_away_is_for_others_to_say(running: Running) -> None:
    running.topics.found = LogUnavailable("no broker answers")
    with capture_logs() as lines:
        await running.look()
    assert (lines, running.watch.noted("x"), running.ended) == ([], "x", False)


async def test_topics_that_may_not_be_looked_at_are_said_once(running: Running) -> None:
    running.topics.found = Refused("Kafka does not let us see x.pushes")
    with capture_logs() as lines:
        for _ in range(3):
            await running.look()
    assert len(lines) == 1
    assert running.watch.noted("ready") == "ready; Kafka does not let us see x.pushes"
    running.topics.found = GOOD
    await running.look()
    assert running.watch.noted("ready") == "ready"


@pytest.mark.parametrize("error", [TopicsUnfit("there is no topic x.pushes"), ForeignLog("x.pushes was made anew")])
async def test_what_only_a_restart_mends_ends_it(running: Running, error: Exception) -> None:
    running.topics.found = error
    await running.look()
    assert running.task is not None
    with pytest.raises(type(error)):
        await running.task
