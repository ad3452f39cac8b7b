"""Where one place is read, and how often: what a `KafkaConsumer` knows about each of its places."""

import time
from collections.abc import Iterator

from aiokafka.client import ConnectionGroup
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.memory_records import MemoryRecords

from hookline.log.records import Place, RawRecord

__all__ = ["Cursor", "Pace"]


FEW_RECORDS = 3
"""A fetch that brings more shows a busy log."""

HURRY_S = 0.008
"""How long after what it brought a fetch follows that somebody waits for: there may be many who wait, each for another."""


class Pace:
    """How soon a fetch may follow one that brought something, and on which connection: a fetch holds its connection.

    gather_ms: how long after it; busy_ms: how long at least after one that brought more than a few records, so that a busy
    log is read in fewer, larger pieces.
    """

    def __init__(self, connection: ConnectionGroup, gather_ms: int, busy_ms: int = 0) -> None:
        self.connection = connection
        self.next_at = 0.0
        """Monotonic seconds."""
        self._begun_at = 0.0
        self._gather_s = gather_ms / 1000
        self._busy_s = max(gather_ms, busy_ms) / 1000

    def begin(self, records: int) -> None:
        """So many were handed out just now."""
        self._begun_at = time.monotonic()
        self.next_at = self._begun_at + (self._busy_s if records > FEW_RECORDS else self._gather_s)

    def hurry(self) -> None:
        """The next one is waited for."""
        self.next_at = min(self.next_at, self._begun_at + HURRY_S)


class Cursor:
    """One place: where it is read from next, and what is fetched and not handed out yet."""

    def __init__(self, place: Place, position: int, pace: Pace, paused: bool) -> None:
        self.place = place
        self.position = position
        self.pace = pace
        self.paused = paused
        self.leader: int | None = None
        self.fetched: Iterator[RawRecord] | None = None
        self.error: KafkaError | None = None
        self.out_of_range_at: float | None = None
        """Since when brokers say that there is nothing at its position, monotonic seconds; None while none does."""

    def seek(self, offset: int) -> None:
        self.position, self.fetched, self.error, self.out_of_range_at = offset, None, None, None

    def unpack(self, data: bytes) -> Iterator[RawRecord]:
        """Its records, moving the position past each as it is taken. Raises CorruptRecordException."""
        batches = MemoryRecords(data)
        while batches.has_next():
            batch = batches.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(f"a batch of {self.place} has a wrong CRC")
            if not batch.is_control_batch:
                for record in batch:
                    if record.offset >= self.position:  # a batch comes whole, also where it is read from its middle
                        self.position = record.offset + 1
                        yield RawRecord(
                            self.place, record.offset, record.timestamp, record.key, record.value, dict(record.headers)
                        )
            self.position = batch.next_offset  # past records that compaction took out, too
