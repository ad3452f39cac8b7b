"""What the four logs are read for, by whoever reads them without a group: a small interface, and the shape that most have.

What is read for knows no Kafka: a `Taker` is one partition's, begins from a snapshot and takes record by record. A `Reading`
is all partitions', restores from wherever it likes, and takes what it likes at once.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol
from uuid import UUID

from hookline.errors import OffsetOutOfRange, Undecodable
from hookline.log.cluster import Cluster, Offsets
from hookline.log.losses import say_lost
from hookline.log.reader import PartitionReader, Read
from hookline.log.skips import Skip
from hookline.log.snapshots import Restored, committed, read_checkpoint

__all__ = ["Reading", "SnapshotReading", "Taker"]

RECORDS_A_TURN = 200
"""Records taken before others get the event loop: a few ms."""


class Taker(Protocol):
    """What one partition is read for."""

    def begin(self, restored: Restored, reader: PartitionReader) -> None:
        """Begin from that; reader: its positions are those of what was taken."""

    def take(self, read: Read) -> None:
        """Take the next record. Raises Unfoldable."""

    def moved(self) -> None:
        """Some were taken, or its status has changed: whoever waits for that may look."""

    def lose(self) -> None:
        """A log has lost what was read of it: forget all. Begun anew."""


class Reading(Protocol):
    """What partitions are read for. Called by the follower's loop only, one call at a time."""

    def session(self, offsets: Offsets) -> AbstractAsyncContextManager[None]:
        """Around all that follows, from one connection to Kafka to the next."""

    async def begin(self, partition: int, offsets: Offsets, progress: Callable[[int], None]) -> PartitionReader:
        """Restore it; or go on with what is in memory, by the reader that it had. progress: told the records read so far.

        Raises Undecodable and SnapshotLost, which are that partition's; all else ends the session.
        """

    async def take(self, partitions: Collection[int]) -> Mapping[int, Undecodable]:
        """Take what their readers may deliver; the record at which one stops, by partition."""

    async def lose(self, error: OffsetOutOfRange) -> None:
        """A log has lost what was read of it: forget that partition, which is begun anew. Raises where it cannot be."""

    def skip(self, partition: int, skip: Skip) -> None:
        """Pass over that record of the logs, at which it stopped, and go on."""

    def moved(self, partition: int) -> None:
        """Its status has changed."""


class SnapshotReading:
    """`Reading` by one `Taker` a partition, from the snapshots that the dispatchers' group committed (design section 6)."""

    def __init__(
        self, cluster: Cluster, log_id: UUID, takers: Mapping[int, Taker], alive: Callable[[], None] = lambda: None
    ) -> None:
        """alive: called while a snapshot is read, which may take long."""
        self._cluster = cluster
        self._log_id = log_id
        self._takers = takers
        self._alive = alive
        self._readers: dict[int, PartitionReader] = {}

    def session(self, offsets: Offsets) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def begin(self, partition: int, offsets: Offsets, progress: Callable[[int], None]) -> PartitionReader:
        """Raises as `Reading.begin`, and ForeignLog."""
        if (reader := self._readers.get(partition)) is not None:
            return reader

        def read(records: int) -> None:
            self._alive()
            progress(records)

        checkpoint = await committed(offsets, partition, self._log_id)
        restored = await read_checkpoint(
            self._cluster, offsets, partition, checkpoint, keep_payload=False, progress=read
        )
        reader = PartitionReader(
            partition, restored.positions, restored.fence, deliveries_start=restored.positions.deliveries
        )
        self._takers[partition].begin(restored, reader)
        self._readers[partition] = reader
        return reader

    async def take(self, partitions: Collection[int]) -> Mapping[int, Undecodable]:
        stopped = {}
        for partition in partitions:
            try:
                await self._take(self._readers[partition], self._takers[partition])
            except Undecodable as error:
                stopped[partition] = error
        return stopped

    async def _take(self, reader: PartitionReader, taker: Taker) -> None:
        """A little at a time."""
        for count, read in enumerate(reader.read(), start=1):
            taker.take(read)
            if count % RECORDS_A_TURN == 0:
                taker.moved()
                await asyncio.sleep(0)
        taker.moved()

    async def lose(self, error: OffsetOutOfRange) -> None:
        say_lost(error, "that partition is restored")
        self._readers.pop(error.partition, None)
        self._takers[error.partition].lose()

    def skip(self, partition: int, skip: Skip) -> None:
        self._readers[partition].skip(skip)

    def moved(self, partition: int) -> None:
        self._takers[partition].moved()
