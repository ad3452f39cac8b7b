"""Snapshots as a dispatcher writes them, for tests of how a replica starts."""

from uuid import uuid4

from hookline.chain.fold import PartitionFold
from hookline.chain.ids import ChainId, partition_of
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions
from hookline.log.snapshots import Checkpoint, Snapshot, write_snapshot
from tests.unit.callbacks.world import LOG_ID, World

__all__ = ["beside", "snapshot"]


async def snapshot(world: World, chain: ChainId) -> Checkpoint:
    """The partition of that chain as it stands, as a dispatcher writes it; nothing names it yet."""
    partition = partition_of(chain.push_id, world.partitions)
    reader, fold = PartitionReader(partition, Positions()), PartitionFold()
    for topic in LOGS:
        reader.offer(topic, world.cluster.log(Place(topic, partition)))
    for record, valid in reader.read():
        if valid:
            fold.fold(record.event, record.offset, record.timestamp)
    assert reader.fence is not None
    producer = await world.cluster.producer()
    content = Snapshot(dict(fold.chains), dict(fold.repeats.until), fold.repeats.clock)
    first = await write_snapshot(producer, partition, uuid4(), content)
    return Checkpoint(reader.positions, reader.fence, first, LOG_ID)


def beside(chain: ChainId, world: World) -> str:
    """The id of another push in the same partition."""
    while partition_of(push_id := str(uuid4()), world.partitions) != partition_of(chain.push_id, world.partitions):
        pass
    return push_id
