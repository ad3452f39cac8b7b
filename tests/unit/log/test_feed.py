"""Feeding partition readers from one consumer: memory stays bounded, partitions come and go."""

import pytest

from hookline.log.feed import Feed
from hookline.log.reader import HELD_LIMIT, PartitionReader
from hookline.log.records import Draft, Place, Positions, RawRecord, Topic
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from tests.kit.events import plan
from tests.unit.chain.logs import PARTITION, Logs

CALLBACKS = Place(Topic.CALLBACKS, PARTITION)


def put(cluster: MemoryCluster, *records: RawRecord) -> None:
    for raw in records:
        cluster.append(Draft(raw.place, raw.key, raw.value, raw.headers))


async def read(feed: Feed, reader: PartitionReader) -> int:
    await feed.poll(0.01)
    count = sum(1 for _ in reader.read())
    feed.adjust(reader.partition)
    return count


@pytest.mark.parametrize("faults", [None, Faults(1), Faults(2)], ids=["calm", "1", "2"])
async def test_a_log_that_waits_for_causes_does_not_fill_memory(faults: Faults | None) -> None:
    logs = Logs()
    (chain,) = logs.push(plan(1))
    count = 3 * HELD_LIMIT
    for _ in range(count):
        logs.verdict(chain, 1)
    cluster = MemoryCluster(PARTITION + 1, faults=faults)
    put(cluster, *logs.records[Topic.CALLBACKS])
    feed, reader = Feed(await cluster.consumer()), PartitionReader(PARTITION, Positions())
    feed.assign([reader])
    for _ in range(30):
        assert await read(feed, reader) == 0
    held = reader.held(Topic.CALLBACKS)
    assert HELD_LIMIT < held < count
    for _ in range(3):
        assert await read(feed, reader) == 0
    assert reader.held(Topic.CALLBACKS) == held, "its fetching is paused"
    put(cluster, *logs.records[Topic.PUSHES])
    got = 0
    while got < count + 1:
        got += await read(feed, reader)
    assert reader.positions == Positions(1, count, 0, 0)


async def test_a_partition_that_was_stopped_is_read_no_more_and_starts_where_its_reader_stands() -> None:
    logs = Logs()
    for n in range(3):
        logs.push(plan(1), name=f"p{n}")
    cluster = MemoryCluster(PARTITION + 1)
    consumer = await cluster.consumer()
    feed, reader = Feed(consumer), PartitionReader(PARTITION, Positions())
    feed.assign([reader])
    put(cluster, logs.records[Topic.PUSHES][0])
    assert await read(feed, reader) == 1
    feed.stop(reader)
    put(cluster, logs.records[Topic.PUSHES][1])
    assert await feed.poll(0.01) == set()
    feed.stop(PartitionReader(PARTITION, Positions()))  # another incarnation's: nothing to do with what runs
    later = PartitionReader(PARTITION, Positions(pushes=1))
    feed.start(later)
    assert await read(feed, later) == 1
    feed.stop(reader)
    put(cluster, logs.records[Topic.PUSHES][2])
    assert await read(feed, later) == 1, "stopping what was replaced stops nothing"


async def test_going_back_to_a_fence_seeks() -> None:
    logs = Logs()
    (chain,) = logs.push(plan(1))
    logs.fence()
    for attempt in range(1, 6):
        logs.delivered(chain, 1, attempt=attempt)
    cluster = MemoryCluster(PARTITION + 1)
    for records in logs.records.values():
        put(cluster, *records)
    feed, reader = Feed(await cluster.consumer()), PartitionReader(PARTITION, Positions(1, 0, 0, 4), fence=None)
    feed.assign([reader])
    assert await read(feed, reader) == 0
    assert await read(feed, reader) == 6
    assert reader.positions == logs.ends
