"""Every open chain, read once: from the snapshots that the dispatcher's group committed, on to the ends of the logs.

For commands that ask what is under way. No group is joined, and nothing is written.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import LogUnavailable, Undecodable
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.feed import Feed
from hookline.log.folding import fold_record
from hookline.log.reader import PartitionReader
from hookline.log.records import Positions, Topic, logs_of
from hookline.log.skips import find_skip, skip_to
from hookline.log.snapshots import committed, read_checkpoint

__all__ = ["OpenPartition", "read_open_chains"]

POLL_S = 1.0
IDLE_POLLS = 30
"""Polls without a record that must be there after which reading is given up."""


@dataclass(frozen=True)
class OpenPartition:
    """A partition at the ends of its logs. `unread`: events that its dispatcher's last checkpoint had not read."""

    number: int
    chains: tuple[Chain, ...]
    unread: int


async def read_open_chains(
    cluster: Cluster, log_id: UUID, progress: Callable[[int], None] = lambda records: None, *, only: int | None = None
) -> list[OpenPartition]:
    """Each partition (or that one only), without payloads. progress: told how many records were read since it was last told.

    Raises ForeignLog, SnapshotLost, Undecodable (of which Unfoldable is one), LogUnavailable, TopicsUnfit.
    """
    async with contextlib.AsyncExitStack() as stack:
        offsets = await cluster.offsets()
        stack.push_async_callback(offsets.close)
        consumer = await cluster.consumer()
        stack.push_async_callback(consumer.close)
        wanted = range(await cluster.partitions(Topic.PUSHES)) if only is None else (only,)
        return [await _read(cluster, offsets, consumer, log_id, number, progress) for number in wanted]


async def _read(
    cluster: Cluster,
    offsets: Offsets,
    consumer: Consumer,
    log_id: UUID,
    number: int,
    progress: Callable[[int], None],
) -> OpenPartition:
    checkpoint = await committed(offsets, number, log_id)
    restored = await read_checkpoint(cluster, offsets, number, checkpoint, keep_payload=False)
    ends = Positions.among(await offsets.ends(logs_of(number)), number)
    reader = PartitionReader(number, restored.positions, restored.fence, deliveries_start=restored.positions.deliveries)
    fold = PartitionFold(restored.chains.values(), restored.repeats, keep_payload=False)
    feed, idle = Feed(consumer), 0
    feed.assign([reader])
    while not reader.positions.reached(ends):
        idle = 0 if await feed.poll(POLL_S) else idle + 1
        if idle > IDLE_POLLS:
            raise LogUnavailable(f"partition {number} gave nothing to read from {reader.positions} to {ends}")
        read = 0
        try:
            for record, valid in reader.read():
                read += 1
                if valid:
                    fold_record(fold, record)
        except Undecodable as stopped:
            if (found := await find_skip(cluster, stopped)) is None:
                raise
            reader.skip(skip_to(found))
        feed.settle(number)
        progress(read)
    unread = sum(max(0, end - at) for end, at in zip(ends, restored.positions, strict=True))
    return OpenPartition(number, tuple(fold.chains.values()), unread)
