"""The one reader: causal order, the fence rule, starting in mid-log, records that cannot be read."""

from collections.abc import Sequence

import pytest

from hookline.chain.events import Fence, PushReceived, Verdict
from hookline.errors import Undecodable
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from tests.kit.events import START, plan
from tests.unit.chain.logs import PARTITION, Logs


def offer_all(reader: PartitionReader, logs: Logs, *topics: Topic) -> None:
    """What a consumer would fetch: from where the reader stands."""
    for topic in topics or LOGS:
        reader.offer(topic, [r for r in logs.records[topic] if r.offset >= reader.next_fetch(topic)])


def read(reader: PartitionReader) -> list[Read]:
    return list(reader.read())


def names(reads: Sequence[Read]) -> list[str]:
    return [type(r.record.event).__name__ for r in reads]


def run(reader: PartitionReader, logs: Logs) -> list[Read]:
    """Read to the ends, seeking back where the reader asks for it."""
    reads: list[Read] = []
    while True:
        offer_all(reader, logs)
        reads += read(reader)
        if reader.rewind is None:
            return reads
        reader.rewound()


def two_workers() -> Logs:
    """Fence 0; two valid decisions at 1 and 2; Fence 3; a zombie's decision at 4; a valid one at 5."""
    logs = Logs()
    (chain,) = logs.push(plan(2))
    first = logs.fence("w0")
    logs.delivered(chain, 1)
    logs.delivered(chain, 1, attempt=2)
    second = logs.fence("w1")
    logs.token = first
    logs.delivered(chain, 1, attempt=3)
    logs.token = second
    logs.delivered(chain, 1, attempt=4)
    return logs


# ---- causal order


def test_a_callback_waits_for_its_push_and_is_handed_out_behind_it() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    logs.verdict(chain, 1)
    reader = PartitionReader(PARTITION, Positions())
    offer_all(reader, logs, Topic.CALLBACKS)
    assert read(reader) == []
    assert reader.positions == Positions(), "the cursor is what counts, never what was fetched"
    assert reader.held(Topic.CALLBACKS) == 1
    offer_all(reader, logs, Topic.PUSHES)
    assert names(read(reader)) == ["PushReceived", "CallbackReceived"]
    assert reader.positions == Positions(1, 1, 0, 0)


def test_a_later_run_waits_for_its_redelivery_and_that_for_the_push() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    again = logs.rerun(chain, plan())
    logs.verdict(again, 1)
    logs.fence()
    logs.delivered(again, 1)
    reader = PartitionReader(PARTITION, Positions())
    offer_all(reader, logs, Topic.CALLBACKS, Topic.DELIVERIES)
    assert names(read(reader)) == ["Fence"]
    offer_all(reader, logs, Topic.COMMANDS)
    assert read(reader) == []
    offer_all(reader, logs, Topic.PUSHES)
    assert names(read(reader)) == ["PushReceived", "RedeliveryRequested", "CallbackReceived", "HookDelivered"]


def test_the_second_run_asked_for_at_offset_0_is_not_taken_for_the_first() -> None:
    """Model, `run_plus`: run is the offset in `commands` plus one."""
    logs = Logs()
    (chain,) = logs.push(plan())
    again = logs.rerun(chain, plan())
    assert again.endswith("-1")
    logs.verdict(again, 1)
    reader = PartitionReader(PARTITION, Positions())
    offer_all(reader, logs, Topic.PUSHES, Topic.CALLBACKS)
    assert names(read(reader)) == ["PushReceived"], "its cause is in commands"


def test_a_cause_below_the_first_position_counts_as_read() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    logs.verdict(chain, 1)
    reader = PartitionReader(PARTITION, Positions(pushes=1))
    offer_all(reader, logs)
    assert names(read(reader)) == ["CallbackReceived"]


def test_what_is_fetched_again_is_passed_over() -> None:
    logs = Logs()
    for n in range(4):
        logs.push(plan(), name=f"p{n}")
    reader = PartitionReader(PARTITION, Positions())
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES][:2])
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES][:3])
    assert len(read(reader)) == 3
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES])
    assert [r.record.offset for r in read(reader)] == [3]


# ---- the fence rule (design section 4, rule 1; I10)


def test_a_decision_is_valid_only_under_the_latest_fence_before_it() -> None:
    reads = [
        r for r in run(PartitionReader(PARTITION, Positions()), two_workers()) if r.record.topic is Topic.DELIVERIES
    ]
    assert [r.valid for r in reads] == [True, True, True, True, False, True]


def test_before_any_fence_nothing_is_valid() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    logs.token = 7
    logs.delivered(chain, 1)
    reads = run(PartitionReader(PARTITION, Positions(), fence=-1), logs)
    assert [r.valid for r in reads] == [True, False]


def test_a_known_fence_needs_no_going_back() -> None:
    logs = two_workers()
    reader = PartitionReader(PARTITION, Positions(1, 0, 0, 4), fence=3)
    offer_all(reader, logs)
    assert [r.valid for r in read(reader)] == [False, True]
    assert reader.rewind is None


@pytest.mark.parametrize("start", range(6))
def test_a_reader_in_mid_log_goes_back_to_the_fence_of_the_first_decision(start: int) -> None:
    logs = two_workers()
    full = {r.record.offset: r.valid for r in run(PartitionReader(PARTITION, Positions()), logs)
            if r.record.topic is Topic.DELIVERIES}  # fmt: skip
    reader = PartitionReader(PARTITION, Positions(1, 0, 0, start), fence=None)
    reads = run(reader, logs)
    assert {r.record.offset: r.valid for r in reads if r.record.offset >= start} == {
        offset: valid for offset, valid in full.items() if offset >= start
    }
    assert reader.positions == logs.ends


def test_what_was_fetched_before_going_back_is_not_taken_for_what_follows_the_fence() -> None:
    logs = two_workers()
    reader = PartitionReader(PARTITION, Positions(1, 0, 0, 2), fence=None)
    reader.offer(Topic.DELIVERIES, logs.records[Topic.DELIVERIES][2:4])
    assert read(reader) == []
    assert (reader.rewind, reader.position(Topic.DELIVERIES)) == (0, 0)
    reader.offer(Topic.DELIVERIES, logs.records[Topic.DELIVERIES][4:])  # fetched before the seek
    assert read(reader) == []
    reader.rewound()
    offer_all(reader, logs)
    assert [r.record.offset for r in read(reader)] == [0, 1, 2, 3, 4, 5]


def test_a_fence_that_is_gone_is_taken_from_the_tokens() -> None:
    """The log begins at 4, behind both Fences; the zombie's decision comes first, and the later token wins all the same."""
    logs = two_workers()
    reader = PartitionReader(PARTITION, Positions(1, 0, 0, 4), fence=None, deliveries_start=4)
    offer_all(reader, logs)
    reads = read(reader)
    assert reads[-1].valid
    assert (reader.fence, reader.rewind) == (3, None)


# ---- what cannot be read (rule 7)


def broken(topic: Topic, offset: int) -> RawRecord:
    headers = {"ce_type": b"hookline.SomethingNew.v2"}
    return RawRecord(Place(topic, PARTITION), offset, START, None, b"{}", headers)


def test_an_undecodable_record_stops_the_partition_at_its_offset() -> None:
    logs = Logs()
    logs.push(plan(), name="a")
    logs.push(plan(), name="b")
    reader = PartitionReader(PARTITION, Positions())
    reader.offer(Topic.PUSHES, [logs.records[Topic.PUSHES][0], broken(Topic.PUSHES, 1)])
    reads = reader.read()
    assert isinstance(next(reads).record.event, PushReceived)
    with pytest.raises(Undecodable) as said:
        next(reads)
    assert (said.value.topic, said.value.partition, said.value.offset) == (Topic.PUSHES, PARTITION, 1)
    with pytest.raises(Undecodable):
        read(reader)  # it is never skipped
    assert reader.positions == Positions(pushes=1)


def test_a_fence_and_verdicts_of_any_kind_are_handed_out_as_they_lie() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    logs.fence()
    for state in Verdict:
        logs.verdict(chain, 1, state)
    reads = run(PartitionReader(PARTITION, Positions()), logs)
    assert all(r.valid for r in reads)
    assert [r.record.event.state for r in reads if r.record.topic is Topic.CALLBACKS] == list(Verdict)  # type: ignore[union-attr]
    assert sum(isinstance(r.record.event, Fence) for r in reads) == 1
