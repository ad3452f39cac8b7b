"""Every open chain, read once: from the snapshots that the dispatcher's group committed, on to the ends of the logs.

For commands that ask what is under way. No group is joined, and nothing is written.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import LogUnavailable
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.feed import Feed
from hookline.log.folding import fold_record
from hookline.log.reader import PartitionReader, Read
from hookline.log.reader_interface import SnapshotReading
from hookline.log.records import Positions, Topic, logs_of
from hookline.log.skips import find_skip, skip_to
from hookline.log.snapshots import Restored

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


class _Fold:
    """`hookline.log.reader_interface.Taker`."""

    def __init__(self) -> None:
        self.fold = PartitionFold()
        self.restored_at = Positions()
        self.taken = 0

    def begin(self, restored: Restored, reader: PartitionReader) -> None:
        self.fold = PartitionFold(restored.chains.values(), restored.repeats, keep_payload=False)
        self.restored_at = restored.positions

    def take(self, read: Read) -> None:
        self.taken += 1
        if read.valid:
            fold_record(self.fold, read.record)

    def moved(self) -> None:
        """Nobody waits for a part of it."""

    def lose(self) -> None:
        """It is read once: what was lost ends that."""


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
    part = _Fold()
    reading = SnapshotReading(cluster, log_id, {number: part})
    reader = await reading.begin(number, offsets, lambda records: None)
    ends = Positions.among(await offsets.ends(logs_of(number)), number)
    feed, idle = Feed(consumer), 0
    feed.assign([reader])
    while not reader.positions.reached(ends):
        idle = 0 if await feed.poll(POLL_S) else idle + 1
        if idle > IDLE_POLLS:
            raise LogUnavailable(f"partition {number} gave nothing to read from {reader.positions} to {ends}")
        before = part.taken
        for stopped in (await reading.take([number])).values():
            if (found := await find_skip(cluster, stopped)) is None:
                raise stopped
            reader.skip(skip_to(found))
        feed.adjust(number)
        progress(part.taken - before)
    return OpenPartition(number, tuple(part.fold.chains.values()), part.restored_at.behind(ends))
