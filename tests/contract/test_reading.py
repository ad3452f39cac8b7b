"""Reader and feed end to end: what was appended is delivered in causal order, judged alike wherever reading begins."""

from collections.abc import Mapping, Sequence

import pytest

from hookline.log.cluster import Cluster
from hookline.log.feed import Feed
from hookline.log.reader import PartitionReader, Read, cause_of
from hookline.log.records import LOGS, Draft, Place, Positions, Topic
from hookline.log.writer import Writer
from hookline.testing.memory_broker import MemoryBroker
from tests.contract.helpers import append_draft, members
from tests.kit.events import plan
from tests.kit.waiting import until
from tests.unit.chain.logs import PARTITION, Logs


def history() -> Logs:
    """Two workers, the first a zombie for a while; runs, callbacks, a cancel."""
    logs = Logs()
    chains = [chain for n in range(10) for chain in logs.push(plan(2), name=f"p{n}")]
    first = logs.fence("w0")
    for chain in chains[:5]:
        logs.delivered(chain, 1)
        logs.verdict(chain, 1)
    second = logs.fence("w1")
    for n, chain in enumerate(chains):
        logs.token = (first, second)[n % 2]
        logs.delivered(chain, 2)
    logs.cancel(chains[9])
    again = logs.rerun(chains[0], plan(1))
    logs.verdict(again, 1)
    logs.delivered(again, 1)
    return logs


async def fill(cluster: Cluster, logs: Logs) -> None:
    """Each record where the history says: past all faults in memory, reading is what is under test."""
    drafts = [Draft(r.place, r.key, r.value, r.headers) for records in logs.records.values() for r in records]
    if isinstance(cluster, MemoryBroker):
        for draft in drafts:
            cluster.append(draft)
        return
    writer = Writer(cluster)
    for draft in drafts:
        await append_draft(writer, draft)
    await writer.close()


async def read_all(feed: Feed, reader: PartitionReader, ends: Positions) -> list[Read]:
    reads: list[Read] = []
    while not reader.positions.reached(ends):
        await feed.poll(0.2)
        reads += reader.read()
        feed.adjust(reader.partition)
    return reads


def judged(reads: Sequence[Read]) -> Mapping[tuple[Topic, int], bool]:
    return {(read.record.topic, read.record.offset): read.valid for read in reads}


@pytest.fixture
def logs() -> Logs:
    return history()


async def test_everything_is_handed_out_behind_its_cause(cluster: Cluster, logs: Logs) -> None:
    await fill(cluster, logs)
    consumer = await cluster.consumer()
    feed, reader = Feed(consumer), PartitionReader(PARTITION, Positions())
    feed.assign([reader])
    reads = await read_all(feed, reader, logs.ends)
    await consumer.close()
    seen: set[tuple[Topic, int]] = set()
    for read in reads:
        assert (cause := cause_of(read.record.event)) is None or cause in seen
        seen.add((read.record.topic, read.record.offset))
    assert judged(reads) == judged(list(logs.read()))
    assert reader.positions == logs.ends


async def test_wherever_it_begins_decisions_are_judged_alike(cluster: Cluster, logs: Logs) -> None:
    """I10."""
    await fill(cluster, logs)
    wanted = judged(list(logs.read()))
    consumer = await cluster.consumer()
    for start in (1, 4, 7, 8, 12, logs.ends.deliveries - 1):
        feed = Feed(consumer)
        reader = PartitionReader(PARTITION, Positions(10, 3, 2, start), fence=None)
        feed.assign([reader])
        reads = await read_all(feed, reader, logs.ends)
        assert judged(reads).items() <= wanted.items()
        assert {o for t, o in judged(reads) if t is Topic.DELIVERIES} >= set(range(start, logs.ends.deliveries))
    await consumer.close()


async def test_a_member_reads_what_it_is_given(cluster: Cluster, logs: Logs) -> None:
    await fill(cluster, logs)
    async with members(cluster, 1) as [member]:
        for partition in member.partitions or ():
            member.start(partition)
        await until(lambda: all(len(member.read[Place(t, PARTITION)]) >= logs.ends.of(t) for t in LOGS))
    reader = PartitionReader(PARTITION, Positions())
    for topic in LOGS:
        reader.offer(topic, member.read[Place(topic, PARTITION)])
    assert judged(list(reader.read())) == judged(list(logs.read()))
