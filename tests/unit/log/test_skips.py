"""A record that none can read is passed over once a SkipRequested names it: by every reader, whenever it looks (I5)."""

from collections.abc import Iterator
from random import Random

import pytest

from hookline.chain.events import EVENTS, Fence, SkipRequested, Verdict
from hookline.chain.fold import PartitionFold
from hookline.errors import Undecodable
from hookline.log.codec import encode
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Draft, Place, Positions, RawRecord, Topic, damaged
from hookline.log.skips import Skip, find_skip, skip_of
from hookline.testing.memory import MemoryCluster
from tests.kit.events import START, plan
from tests.unit.chain.logs import PARTITION, Logs


def garbage(logs: Logs, topic: Topic, ce_type: bytes = b"hookline.Broken") -> Skip:
    """A record that cannot be read, at the end of that log."""
    records = logs.records[topic]
    records.append(RawRecord(Place(topic, PARTITION), len(records), START, None, b"\xff", {"ce_type": ce_type}))
    return Skip(topic, len(records) - 1)


def skip(logs: Logs, bad: Skip) -> int:
    return logs.append(requested(bad))


def requested(bad: Skip) -> SkipRequested:
    topic = bad.topic.value
    return SkipRequested.model_validate(
        {"topic": topic, "offset": bad.offset, "by": "ada", "requested_at": START, "reason": "broken"}
    )


def history(bad_in: Topic | None) -> tuple[Logs, Skip | None]:
    """Two chains to their ends, a third that waits; in one log something in the middle that cannot be read."""
    logs = Logs()
    one, two = (logs.push(plan(2), name=name)[0] for name in "ab")
    logs.fence("w0")
    logs.delivered(one, 1)
    bad = None if bad_in is None else garbage(logs, bad_in)
    logs.verdict(one, 1)
    logs.push(plan(), name="c")
    logs.delivered(one, 2)
    logs.verdict(one, 2, Verdict.FAILURE)
    logs.cancel(two)
    again = logs.rerun(two, plan())
    logs.delivered(again, 1)
    if bad is not None:
        skip(logs, bad)
    logs.verdict(again, 1)
    return logs, bad


def read_on(reader: PartitionReader, logs: Logs) -> Iterator[Read]:
    while True:
        for topic in LOGS:
            reader.offer(topic, [r for r in logs.records[topic] if r.offset >= reader.next_fetch(topic)])
        yield from reader.read()
        if reader.rewind is None:
            return
        reader.rewound()


def folded(reads: Iterator[Read]) -> PartitionFold:
    fold = PartitionFold(keep_ended=True)
    for record, valid in reads:
        if valid:
            fold.fold(record.event, record.offset, record.timestamp)
    return fold


def shown(fold: PartitionFold) -> list[tuple[str, object, object]]:
    """Chains without the offsets in them, which a record in between moves."""
    return [
        (chain.id[:36], chain.ending and chain.ending.reason, tuple(s.verdict and s.verdict.state for s in chain.steps))
        for chain in fold.chains.values()
    ]


@pytest.mark.parametrize("topic", LOGS)
def test_a_reader_stops_until_it_is_told_and_then_reads_as_if_the_record_were_not_there(topic: Topic) -> None:
    logs, bad = history(topic)
    assert bad is not None
    reader = PartitionReader(PARTITION, Positions())
    with pytest.raises(Undecodable) as stopped:
        list(read_on(reader, logs))
    assert bad.covers(stopped.value.topic, stopped.value.offset)
    assert reader.position(topic) == bad.offset

    told = PartitionReader(PARTITION, Positions(), skips=[bad])
    assert shown(folded(read_on(told, logs))) == shown(
        folded(read_on(PartitionReader(PARTITION, Positions()), history(None)[0]))
    )
    assert told.positions == logs.ends
    assert told.skipped == {bad}


def test_a_fence_that_lay_in_a_damaged_batch_is_in_force_from_the_first_decision_with_its_token() -> None:
    """Nobody else knows its offset. What its predecessor wrote before that counts; what it writes afterwards is void."""
    logs = Logs()
    (chain,) = logs.push(plan(2))
    first, lost = logs.fence("w0"), logs.fence("w1")
    for token in (first, lost, first, lost):
        logs.token = token
        logs.delivered(chain, 1)
    place = Place(Topic.DELIVERIES, PARTITION)
    logs.records[Topic.DELIVERIES][lost] = damaged(place, lost, lost + 1, "its checksum is wrong")
    reader = PartitionReader(PARTITION, Positions(), skips=[Skip(Topic.DELIVERIES, lost, lost + 1)])
    reads = [read for read in read_on(reader, logs) if read.record.fence is not None]
    assert [(read.record.fence, read.valid) for read in reads] == [
        (first, True),
        (lost, True),
        (first, False),
        (lost, True),
    ]
    assert reader.fence == lost


@pytest.mark.parametrize("seed", range(60))
def test_when_a_reader_is_told_and_how_the_logs_interleave_does_not_matter(seed: int) -> None:
    """I5: the same records, each with the same validity; the same chains."""
    random = Random(seed)
    logs, bad = history(random.choice(LOGS))
    assert bad is not None
    whole = list(read_on(PartitionReader(PARTITION, Positions(), skips=[bad]), logs))
    reader, fold, seen = PartitionReader(PARTITION, Positions()), PartitionFold(keep_ended=True), []
    stops = 0
    while not reader.positions.reached(logs.ends):
        topic = random.choice(LOGS)
        at = reader.next_fetch(topic)
        reader.offer(topic, logs.records[topic][at : at + random.randint(1, 3)])
        try:
            for read in reader.read():
                seen.append(read)
                if read.valid:
                    fold.fold(read.record.event, read.record.offset, read.record.timestamp)
        except Undecodable:
            stops += 1
            if stops > random.randint(1, 5):
                reader.skip(bad)
    assert {(r.record.topic, r.record.offset, r.valid) for r in seen} == {
        (r.record.topic, r.record.offset, r.valid) for r in whole
    }
    assert fold.chains == folded(iter(whole)).chains
    assert all(read.record.topic is not bad.topic or read.record.offset != bad.offset for read in seen)


def test_one_that_can_be_read_is_never_passed_over() -> None:
    logs, _ = history(None)
    everything = [Skip(topic, offset) for topic in LOGS for offset in range(20)]
    reads = list(read_on(PartitionReader(PARTITION, Positions(), skips=everything), logs))
    assert len(reads) == sum(logs.ends)


@pytest.mark.parametrize("ce_type", [b"hookline.Fence.v2", b"hookline.Fence.v1"])
def test_a_fence_is_never_passed_over(ce_type: bytes) -> None:
    logs, _ = history(None)
    bad = garbage(logs, Topic.DELIVERIES, ce_type)
    reader = PartitionReader(PARTITION, Positions(), skips=[bad])
    with pytest.raises(Undecodable):
        list(read_on(reader, logs))


def test_a_reader_that_begins_in_mid_log_passes_over_it_too() -> None:
    logs, bad = history(Topic.DELIVERIES)
    assert bad is not None
    at = bad.offset - 1
    reader = PartitionReader(PARTITION, Positions(3, 0, 0, at), None, 0, skips=[bad])
    reads = [read for read in read_on(reader, logs) if read.record.topic is Topic.DELIVERIES]
    assert reader.positions.deliveries == logs.ends.deliveries
    assert all(read.valid for read in reads if not isinstance(read.record.event, Fence))


# ---- finding what lets readers pass


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(2)


def stopped_at(topic: Topic | str = Topic.PUSHES, partition: int = 1, offset: int = 7) -> Undecodable:
    return Undecodable(topic, partition, offset, "")


async def test_it_is_found_wherever_it_lies_in_commands(cluster: MemoryCluster) -> None:
    assert await find_skip(cluster, stopped_at()) is None
    for offset in range(3):
        cluster.append(Draft(Place(Topic.COMMANDS, 1), None, b"?", {"ce_type": b"hookline.New.v9"}))
        cluster.append(encode(requested(Skip(Topic.PUSHES, offset)), 1, now_ms=START))
    assert await find_skip(cluster, stopped_at()) is None
    cluster.append(encode(requested(Skip(Topic.PUSHES, 7)), 1, now_ms=START))
    cluster.delete_below(Place(Topic.COMMANDS, 1), 2)
    found = await find_skip(cluster, stopped_at())
    assert found is not None
    assert (found.by, found.reason) == ("ada", "broken")


async def test_only_the_very_record_of_that_partition_is_meant(cluster: MemoryCluster) -> None:
    cluster.append(encode(requested(Skip(Topic.PUSHES, 7)), 1, now_ms=START))
    for other in (
        stopped_at(offset=8),
        stopped_at(partition=0),
        stopped_at(Topic.CALLBACKS),
        stopped_at(Topic.SNAPSHOTS),
        stopped_at("HookDelivered", partition=-1),
    ):
        assert await find_skip(cluster, other) is None


def test_a_skip_that_cannot_be_read_lets_nothing_pass() -> None:
    for ce_type, value in ((b"hookline.SkipRequested.v1", b"{}"), (b"hookline.SkipRequested.v2", b"{}"), (b"x", b"{}")):
        assert skip_of(RawRecord(Place(Topic.COMMANDS, 0), 0, 0, None, value, {"ce_type": ce_type})) is None


def test_it_changes_no_chain_and_waits_for_nothing() -> None:
    assert "hookline.SkipRequested.v1" in EVENTS
    logs = Logs()
    skip(logs, Skip(Topic.PUSHES, 99))
    (read,) = read_on(PartitionReader(PARTITION, Positions()), logs)
    assert PartitionFold().fold(read.record.event, read.record.offset, read.record.timestamp) == ()
