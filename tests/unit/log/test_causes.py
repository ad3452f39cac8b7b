"""Which record waits for a cause that only comes late, and which for one that its topic has lost."""

import pytest

from hookline.chain.events import CallbackReceived, PushReceived, Verdict
from hookline.errors import ForeignLog
from hookline.log.causes import check_causes, waits_of
from hookline.log.codec import encode
from hookline.log.memory import MemoryCluster
from hookline.log.reader import PartitionReader, Wait
from hookline.log.records import Place, Positions, Topic

PUSH_ID = "00000001-0000-5000-8000-000000000001"
PUSHES, COMMANDS = Place(Topic.PUSHES, 0), Place(Topic.COMMANDS, 0)


def waiting(run: int, cause: int) -> PartitionReader:
    """A reader that has read a verdict of such a run, and nothing else."""
    verdict = CallbackReceived(
        cause=cause,
        chain_id=f"{PUSH_ID}-0-0-{run}",
        step=1,
        state=Verdict.SUCCESS,
        received_at=1,
        remote_ip="192.0.2.1",
    )
    cluster, reader = MemoryCluster(1), PartitionReader(0, Positions())
    cluster.append(encode(verdict, 0, now_ms=1))
    reader.offer(Topic.CALLBACKS, cluster.log(Place(Topic.CALLBACKS, 0)))
    assert list(reader.read()) == []
    return reader


def test_what_is_in_the_log_is_waited_for() -> None:
    waits = waits_of([waiting(run=0, cause=5)])
    assert waits == [(0, Wait(Topic.CALLBACKS, 0, Topic.PUSHES, 5))]
    check_causes(waits, {PUSHES: 6})
    check_causes(waits, {})  # Kafka did not say


def test_what_is_not_in_the_log_will_not_come() -> None:
    with pytest.raises(ForeignLog, match=r"callbacks\[0\]@0 rests on pushes\[0\]@5, and pushes\[0\] ends at 5") as said:
        check_causes(waits_of([waiting(run=0, cause=5)]), {PUSHES: 5})
    assert "delete commands, callbacks, deliveries too" in str(said.value)


def test_a_later_run_rests_on_commands() -> None:
    waits = waits_of([waiting(run=8, cause=7)])
    check_causes(waits, {PUSHES: 0, COMMANDS: 8})
    with pytest.raises(ForeignLog, match=r"rests on commands\[0\]@7.*delete callbacks, deliveries too"):
        check_causes(waits, {PUSHES: 0, COMMANDS: 7})


def test_what_waits_no_more_is_not_named() -> None:
    reader = waiting(run=0, cause=0)
    cluster = MemoryCluster(1)
    push = PushReceived(
        push_id=PUSH_ID,
        source="dockerhub",
        received_at=1,
        dedupe_window_s=1,
        pushed_at=1,
        repository="acme/app",
        payload={},
        raw="{}",
        settings_offset=0,
        plans=(),
    )
    cluster.append(encode(push, 0, now_ms=1))
    reader.offer(Topic.PUSHES, cluster.log(PUSHES))
    assert len(list(reader.read())) == 2
    assert waits_of([reader]) == []
