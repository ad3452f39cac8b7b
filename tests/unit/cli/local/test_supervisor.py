"""When a unit is started again, after how long, and when the supervisor gives up. The clock is moved by hand."""

import asyncio

import pytest

from hookline.cli.local.supervisor import SLOW_PAUSE_S, TRIES, RestartPolicy, Supervisor
from hookline.errors import BrokerError, ProcessFailed
from hookline.testing.manual_clock import ManualClock
from hookline.web.health import Status
from tests.kit.waiting import until


class FakeUnit:
    """Ready and dead when the test says so."""

    name = "ingress"

    def __init__(self) -> None:
        self.starts = 0
        self.is_ready = False
        self.fail_start: Exception | None = None
        self._death: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        if self.fail_start:
            raise self.fail_start
        self.starts += 1
        self._death = asyncio.Event()

    async def ready(self) -> Status:
        return Status(self.is_ready, "connecting to Kafka")

    async def ended(self) -> str:
        await self._death.wait()
        return "exit code 3"

    def die(self) -> None:
        self._death.set()

    def last_lines(self) -> list[str]:
        return ["boom", "bang"]


class Notes:
    def __init__(self) -> None:
        self.ready = 0
        self.waiting: list[str] = []
        self.pauses: list[float] = []
        self.deaths: list[str] = []
        self.given: list[tuple[str, float]] = []

    def became_ready(self, unit: object, after_s: float) -> None:
        self.ready += 1

    def is_waiting(self, unit: object, detail: str, for_s: float) -> None:
        self.waiting.append(detail)

    def died(self, unit: object, how: str, pause_s: float) -> None:
        self.deaths.append(how)
        self.pauses.append(pause_s)

    def given_up(self, unit: object, how: str, pause_s: float) -> None:
        self.given.append((how, pause_s))


class Bench:
    def __init__(self, *, is_needed: bool = True) -> None:
        self.unit, self.clock, self.notes = FakeUnit(), ManualClock(), Notes()
        self.supervisor = Supervisor(self.unit, self.clock, self.notes, is_needed=is_needed)
        self.task = asyncio.create_task(self.supervisor.keep())

    def tick(self) -> None:
        self.clock.advance(0.1)

    async def die(self) -> None:
        """Once it runs."""
        starts = self.unit.starts
        self.unit.die()
        await until(lambda: self.task.done() or self.unit.starts > starts, pause_s=0, meanwhile=self.tick)

    async def until_ready(self) -> None:
        seen = self.notes.ready
        self.unit.is_ready = True
        await until(lambda: self.notes.ready > seen, pause_s=0, meanwhile=self.tick)


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await until(lambda: bench.unit.starts == 1)
    return bench


def test_pauses_double_up_to_five_seconds() -> None:
    policy = RestartPolicy()
    pauses = [policy.after_death(was_ready=False) for _ in range(TRIES)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, None]
    long_lived = RestartPolicy(deaths=-10)  # as if there were many more tries
    assert max(long_lived.after_death(was_ready=False) or 0 for _ in range(14)) <= 5


def test_a_death_after_it_was_ready_begins_anew() -> None:
    policy = RestartPolicy()
    for _ in range(TRIES - 1):
        policy.after_death(was_ready=False)
    assert policy.after_death(was_ready=True) == 0.2
    assert [policy.after_death(was_ready=False) for _ in range(TRIES)][-1] is None


async def test_ready_is_told_once_with_why_it_waited(bench: Bench) -> None:
    await until(lambda: bool(bench.notes.waiting), pause_s=0, meanwhile=bench.tick)
    assert not bench.supervisor.first_ready.is_set()
    await bench.until_ready()
    assert bench.supervisor.first_ready.is_set()
    assert bench.notes.waiting == ["connecting to Kafka"]  # said once, not at each poll
    bench.task.cancel()


async def test_a_unit_that_dies_is_started_again_after_the_pause(bench: Bench) -> None:
    await bench.until_ready()
    bench.unit.die()
    await until(lambda: bool(bench.notes.deaths))
    assert bench.notes.deaths == ["exit code 3"]
    bench.clock.advance(0.1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.unit.starts == 1  # not before the pause is over
    bench.clock.advance(0.1)
    await until(lambda: bench.unit.starts == 2)
    bench.task.cancel()


async def test_five_deaths_before_it_was_ready_end_it_with_its_last_lines(bench: Bench) -> None:
    for _ in range(TRIES):
        assert not bench.task.done()
        await bench.die()
    with pytest.raises(ProcessFailed, match=r"(?s)ingress.*5 times.*exit code 3.*boom\n.*bang"):
        await bench.task
    assert bench.unit.starts == TRIES
    assert bench.notes.pauses == [0.2, 0.4, 0.8, 1.6]


async def test_one_that_the_rest_does_without_is_given_up_once_and_tried_on_slowly() -> None:
    bench = Bench(is_needed=False)
    await until(lambda: bench.unit.starts == 1)
    for _ in range(TRIES + 3):
        await bench.die()
    assert not bench.task.done()
    assert bench.supervisor.first_outcome.is_set()
    assert not bench.supervisor.first_ready.is_set()
    assert bench.notes.given == [("exit code 3", SLOW_PAUSE_S)]
    assert bench.notes.pauses == [0.2, 0.4, 0.8, 1.6], "said no more"
    bench.clock.advance(SLOW_PAUSE_S - 1)
    starts = bench.unit.starts
    bench.unit.die()
    for _ in range(50):
        await asyncio.sleep(0)
    bench.clock.advance(SLOW_PAUSE_S - 1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.unit.starts == starts
    bench.task.cancel()


async def test_one_that_was_given_up_and_gets_ready_begins_anew() -> None:
    bench = Bench(is_needed=False)
    await until(lambda: bench.unit.starts == 1)
    for _ in range(TRIES):
        await bench.die()
    await bench.until_ready()
    assert not bench.supervisor.is_given_up
    bench.unit.is_ready = False
    for _ in range(TRIES + 1):
        await bench.die()
    assert len(bench.notes.given) == 2
    bench.task.cancel()


async def test_one_that_the_rest_does_without_may_fail_to_start_at_all() -> None:
    bench = Bench(is_needed=False)
    bench.unit.fail_start = ProcessFailed("there is no such program")
    await until(lambda: bool(bench.notes.given), pause_s=0, meanwhile=bench.tick)
    assert bench.notes.given[0][0] == "there is no such program"
    bench.task.cancel()


async def test_it_never_gives_up_on_a_unit_that_gets_ready(bench: Bench) -> None:
    for _ in range(3 * TRIES):
        await bench.until_ready()
        bench.unit.is_ready = False
        await bench.die()
    assert not bench.task.done()
    assert set(bench.notes.pauses) == {0.2}
    bench.task.cancel()


async def test_what_the_first_start_raises_is_the_users_to_see_at_once() -> None:
    unit = FakeUnit()
    unit.fail_start = BrokerError("there is no Java")
    with pytest.raises(BrokerError, match="no Java"):
        await Supervisor(unit, ManualClock(), Notes()).keep()


async def test_a_start_that_fails_later_is_tried_again(bench: Bench) -> None:
    await bench.until_ready()
    bench.unit.fail_start = BrokerError("the port is taken")
    bench.unit.die()
    await until(lambda: bench.task.done(), pause_s=0, meanwhile=bench.tick)
    with pytest.raises(ProcessFailed, match="the port is taken"):
        await bench.task
    assert bench.notes.deaths == ["exit code 3", *["the port is taken"] * (TRIES - 1)]
