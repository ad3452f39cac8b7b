"""Which record waits for a cause that only comes late, and which for one that its topic has lost."""

import pytest
from structlog.testing import capture_logs

from hookline.chain.events import Event
from hookline.log.causes import SURE_S, LostCause, LostCauses
from hookline.log.codec import encode
from hookline.log.reader import PartitionReader, Wait
from hookline.log.records import Place, Positions, Topic
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from tests.kit.events import push, sealed, verdict

PUSH_ID = "00000001-0000-5000-8000-000000000001"
PUSHES, COMMANDS, DELIVERIES = (Place(topic, 0) for topic in (Topic.PUSHES, Topic.COMMANDS, Topic.DELIVERIES))


def waiting(run: int, cause: int) -> PartitionReader:
    """A reader that has read a verdict of such a run, and nothing else."""
    return having_read(verdict(f"{PUSH_ID}-0-0-{run}", at=1, cause=cause), Positions())


def having_read(event: Event, positions: Positions) -> PartitionReader:
    """From those positions on, that event in `callbacks`, which it does not deliver."""
    cluster, reader = MemoryCluster(1), PartitionReader(0, positions)
    cluster.append(encode(event, 0, now_ms=1))
    reader.offer(Topic.CALLBACKS, cluster.log(Place(Topic.CALLBACKS, 0)))
    assert list(reader.read()) == []
    return reader


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def causes(clock: ManualClock) -> LostCauses:
    return LostCauses(clock)


def test_what_is_in_the_log_is_waited_for_however_long(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=0, cause=5)])
    assert waits == [(0, Wait(Topic.CALLBACKS, 0, Topic.PUSHES, 5, waits[0][1].timestamp))]
    for ends in ({PUSHES: 6}, {}):  # or Kafka did not say
        assert causes.check(waits, ends) == {}
        clock.advance(10 * SURE_S)
        assert causes.check(waits, ends) == {}


def test_what_is_not_in_the_log_for_a_while_will_not_come(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=0, cause=5)])
    assert causes.check(waits, {PUSHES: 5}) == {}
    clock.advance(SURE_S - 1)
    assert causes.check(waits, {PUSHES: 5}) == {}
    clock.advance(1)
    lost = causes.check(waits, {PUSHES: 5})
    assert lost == {0: LostCause(0, waits[0][1], 5)}
    assert str(lost[0]).startswith("callbacks[0]@0 rests on pushes[0]@5, and pushes[0] ends at 5: ")
    assert "delete commands, callbacks, deliveries too" in str(lost[0])


def test_it_is_lost_until_kafka_says_that_it_is_there_and_said_once(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=0, cause=5)])
    with capture_logs() as lines:
        causes.check(waits, {PUSHES: 4})
        clock.advance(SURE_S)
        ends: tuple[dict[Place, int], ...] = ({PUSHES: 4}, {}, {PUSHES: 5}, {})
        assert [list(causes.check(waits, end)) for end in ends] == [[0]] * 4
        assert causes.check(waits, {PUSHES: 6}) == {}
        assert causes.check(waits, {}) == {}
    (line,) = lines
    assert (line["topic"], line["partition"], line["offset"]) == ("callbacks", 0, 0)
    assert "rests on pushes[0]@5" in line["reason"]


def test_kafka_must_have_said_twice_that_it_is_not_there(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=0, cause=5)])
    causes.check(waits, {PUSHES: 5})
    clock.advance(SURE_S)
    assert causes.check(waits, {}) == {}
    assert list(causes.check(waits, {PUSHES: 5})) == [0]


def test_a_seal_rests_on_its_intent(causes: LostCauses, clock: ManualClock) -> None:
    seal = sealed(f"{PUSH_ID}-0-0-0", 1, 3, at=1)
    waits = causes.waits([having_read(seal, Positions(pushes=1))])
    causes.check(waits, {PUSHES: 1, DELIVERIES: 3})
    clock.advance(SURE_S)
    lost = causes.check(waits, {PUSHES: 1, DELIVERIES: 3})
    assert "callbacks[0]@0 rests on deliveries[0]@3, and deliveries[0] ends at 3" in str(lost[0])


def test_an_end_of_a_leader_that_was_deposed_is_soon_another(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=0, cause=5)])
    for _ in range(5):
        assert causes.check(waits, {PUSHES: 5}) == {}
        clock.advance(SURE_S - 1)
        assert causes.check(waits, {PUSHES: 6}) == {}
        clock.advance(SURE_S)


def test_a_later_run_rests_on_commands(causes: LostCauses, clock: ManualClock) -> None:
    waits = causes.waits([waiting(run=8, cause=7)])
    assert causes.check(waits, {PUSHES: 0, COMMANDS: 8}) == {}
    assert causes.check(waits, {PUSHES: 0, COMMANDS: 7}) == {}
    clock.advance(SURE_S)
    said = str(causes.check(waits, {PUSHES: 0, COMMANDS: 7})[0])
    assert "rests on commands[0]@7" in said
    assert "delete callbacks, deliveries too" in said


def test_what_waits_no_more_is_not_named(causes: LostCauses) -> None:
    reader = waiting(run=0, cause=0)
    cluster = MemoryCluster(1)
    cluster.append(encode(push(push_id=PUSH_ID), 0, now_ms=1))
    reader.offer(Topic.PUSHES, cluster.log(PUSHES))
    assert len(list(reader.read())) == 2
    assert causes.waits([reader]) == []
