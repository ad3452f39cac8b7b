"""What an ack says about clocks; over a real broker's acks: tests/contract/test_producer.py."""

import math
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from hookline.log.records import Draft, Place, Topic
from hookline.log.skew import SKEW, ClockSkew, skew_ms
from hookline.log.writer import Writer
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from tests.metric_values import value_of


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    SKEW.set(math.nan)


def shown() -> float:
    value: float = value_of(SKEW)
    return value


@pytest.mark.parametrize(
    ("sent_at", "stamped_at", "acked_at", "ahead"),
    [
        (1000, 1003, 1006, 0),
        (1000, 1000, 1000, 0),
        (1000, 3900, 4000, 0),  # an ack that took three seconds is no skew
        (6000, 1003, 6006, 4997),
        (1000, 6003, 1006, -4997),
    ],
    ids=["together", "the same", "slow", "ahead", "behind"],
)
def test_what_sending_and_ack_do_not_explain_is_skew(sent_at: int, stamped_at: int, acked_at: int, ahead: int) -> None:
    assert skew_ms(sent_at, stamped_at, acked_at) == ahead


def test_an_ack_without_the_brokers_time_says_nothing() -> None:
    skew = ClockSkew(ManualClock())
    skew.note(1000, None, 1003)
    assert math.isnan(shown())
    assert not skew.doubtful, "where topics keep the producer's time nobody can tell, and it is gone by"


@pytest.mark.parametrize("ahead_s", [0, 90, -90])
async def test_every_append_of_a_writer_tells(ahead_s: int) -> None:
    broker_clock, own_clock = ManualClock(), ManualClock()
    own_clock.advance(ahead_s)
    writer = Writer(MemoryCluster(1, clock=broker_clock), own_clock)
    await writer.append(Draft(Place(Topic.PUSHES, 0), None, b"x"))
    await writer.close()
    assert shown() == ahead_s


class Clocks:
    """One process's, and the brokers' that it is compared with."""

    def __init__(self) -> None:
        self.ms, self.seconds, self.brokers_ms = 1_700_000_000_000, 100.0, 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits")

    def pass_s(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.brokers_ms += round(seconds * 1000)
        self.seconds += seconds

    def ack(self, skew: ClockSkew) -> None:
        skew.note(self.ms, self.brokers_ms, self.ms)


@pytest.mark.parametrize("off_s", [61, -61, 3600, -3600, 365 * 86_400])
def test_a_clock_that_is_off_is_doubtful_until_it_is_right(off_s: int) -> None:
    clocks = Clocks()
    skew = ClockSkew(clocks, 60, "nothing is closed")
    assert skew.doubtful, "nobody has told yet"
    assert "not been compared with the brokers' yet" in skew.words()
    clocks.ack(skew)
    assert (skew.doubtful, skew.too_far, skew.words()) == (False, False, "")
    clocks.ms += off_s * 1000  # it is set while the process runs: no ack is needed to see it
    assert skew.doubtful
    assert not skew.too_far, "a machine that slept is woken so, with a right clock"
    clocks.ack(skew)
    assert (skew.doubtful, skew.too_far) == (True, True)
    ahead = "ahead of" if off_s > 0 else "behind"
    assert (
        f"this clock is {abs(off_s)} s {ahead} the brokers', more than HOOKLINE_MAX_CLOCK_SKEW (60 s)" in skew.words()
    )
    assert skew.words().endswith("; meanwhile nothing is closed")
    clocks.pass_s(1000)
    assert skew.too_far, "time alone mends nothing"
    clocks.ms -= off_s * 1000
    assert (skew.doubtful, skew.too_far, skew.words()) == (False, False, "")


def test_it_is_said_in_the_log_once_each_time_that_it_goes_wrong() -> None:
    clocks = Clocks()
    skew = ClockSkew(clocks)
    with capture_logs() as lines:
        for off_s in (0, 100, 120, 0, -100):
            clocks.ms = clocks.brokers_ms + off_s * 1000
            clocks.ack(skew)
            skew.words()
    assert [line["event"] for line in lines] == ["the clock is wrong", "the clock is right again", "the clock is wrong"]
