"""What an ack says about clocks; over a real broker's acks: tests/contract/test_producer.py."""

import math
from collections.abc import Iterator

import pytest

from hookline.clock import ManualClock
from hookline.log.memory import MemoryCluster
from hookline.log.records import Draft, Place, Topic
from hookline.log.skew import SKEW, note_ack, skew_ms
from hookline.log.writer import Writer
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
    note_ack(1000, None, 1003)
    assert math.isnan(shown())


@pytest.mark.parametrize("ahead_s", [0, 90, -90])
async def test_every_append_of_a_writer_tells(ahead_s: int) -> None:
    broker_clock, own_clock = ManualClock(), ManualClock()
    own_clock.advance(ahead_s)
    writer = Writer(MemoryCluster(1, clock=broker_clock), own_clock)
    await writer.append(Draft(Place(Topic.PUSHES, 0), None, b"x"))
    await writer.close()
    assert shown() == ahead_s
