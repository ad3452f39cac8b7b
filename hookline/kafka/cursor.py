"""Where one place is read, and how often: what a `KafkaConsumer` knows about each of its places."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from hookline.errors import LogError, LogTruncated, OffsetOutOfRange
from hookline.kafka.batches import Batch, batches_of
from hookline.log.records import PIPELINES, Place, RawRecord, damaged

__all__ = ["Answer", "Cursor", "Pace"]


FEW_RECORDS = 3
"""A fetch that brings more shows a busy log."""

SURE_S = 5.0
"""How long brokers must say that something is wrong with a place: above what it takes to hear of another leader."""
OUT_OF_RANGE = "not in the log: records were lost or deleted, or the topic was made anew"
"""Why an offset cannot be read, once that is sure."""
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
        """So many were delivered just now."""
        self._begun_at = time.monotonic()
        self.next_at = self._begun_at + (self._busy_s if records > FEW_RECORDS else self._gather_s)

    def hurry(self) -> None:
        """The next one is waited for."""
        self.next_at = min(self.next_at, self._begun_at + HURRY_S)


class Answer(NamedTuple):
    """What a broker said of a place. start, end: offsets of its log, -1 where it says none; is_full: there was no room for more."""

    error: KafkaError | None
    start: int
    end: int
    data: bytes
    is_full: bool


class Cursor:
    """One place: where it is read from next, what is fetched and not delivered yet, and whether it is still that log.

    Whoever goes on after a lost connection, or at another leader, may meet another log under the same name: an older copy was
    put back, or that leader never had all that the last one gave. So the last record that was read is fetched once more
    first, and must be the same. Leader epochs (KIP-320) do not tell: a copy that is put back counts on from its own, so that
    other records get the offsets and the epochs of those that are gone.
    """

    def __init__(self, place: Place, position: int, pace: Pace, paused: bool, last: RawRecord | None = None) -> None:
        """last: the record that was read before `position`."""
        self.place = place
        self.position = position
        self.pace = pace
        self.paused = paused
        self.leader: int | None = None
        self.fetched: Iterator[RawRecord] | None = None
        self.error: LogError | None = None
        self.has_failed = False
        self.in_doubt = last is not None
        """May it be another log than the one that was read so far?"""
        self.last = last
        self._is_last_gone = False
        """Did a broker say that it has not even that one? Then it is asked for `position`, and the next time for `last`."""
        self._wrong_at: float | None = None
        """Since when brokers have said that something is wrong here, monotonic seconds; None while none does."""

    @property
    def reads_from(self) -> int:
        """The offset to ask for."""
        if self.in_doubt and self.last is not None and not self._is_last_gone:
            return self.last.offset
        return self.position

    def seek(self, offset: int, last: RawRecord | None = None) -> None:
        """last: the record just below, where somebody has read it."""
        if self.last is None or self.last.next_offset != offset:
            self.last = last
            self.in_doubt |= last is not None
        self.position, self.fetched, self.error, self.has_failed = offset, None, None, False
        self._is_last_gone, self._wrong_at = False, None

    def fail(self) -> LogError | None:
        """The error to raise, where there is one. Where it says that this is another log, it is read no further until it is sought.

        What was refused is asked for again: a right may be given back.
        """
        error, self.error = self.error, None
        if isinstance(error, OffsetOutOfRange):
            self.has_failed, self.last = True, None
        return error

    def answered(self, answer: Answer) -> bool:
        """Take an answer about `reads_from`: `fetched` or `error` is set where there is something to deliver.

        False where it must be asked again: time mends it, or another broker does.
        """
        if answer.error is not None:
            return self._refused(answer.error)
        if self._is_last_gone and self.last is not None and answer.start <= self.last.offset:
            self._is_last_gone = False  # this broker has it: compare
            return False
        if self._is_last_gone or self.last is None:
            self._believe()
        if answer.data:
            self.fetched = self._unpacked(answer.data, answer.end)
            return True
        if self.in_doubt and answer.end <= self.reads_from:
            return self._sure() and self._lost(LogTruncated, f"the log ends at {answer.end}, and was read further")
        if answer.end > self.reads_from and not answer.is_full:
            return self._sure() and self._damaged("its broker has it, and gives nothing")
        return True

    def _refused(self, error: KafkaError) -> bool:
        is_out_of_range = isinstance(error, OffsetOutOfRangeError)
        self.in_doubt |= is_out_of_range or error.retriable
        if error.retriable:
            return False
        if not self._sure():
            self._is_last_gone = is_out_of_range and not self._is_last_gone
            return False
        if is_out_of_range:
            return self._lost(OffsetOutOfRange, OUT_OF_RANGE)
        return self._damaged(f"its broker says {error.message}")

    def _sure(self) -> bool:
        """Has something been wrong for long? A leader that was deposed, and does not know it, has not what the next one took."""
        now = time.monotonic()
        self._wrong_at = self._wrong_at or now
        return now - self._wrong_at >= SURE_S

    def _believe(self) -> None:
        """It is the log that was read."""
        self.in_doubt = self._is_last_gone = False

    def _lost(self, error: type[OffsetOutOfRange], reason: str) -> bool:
        self.error = error(self.place.topic, self.place.partition, self.position, reason)
        return True

    def _damaged(self, why: str) -> bool:
        self.fetched = self._past(self.position + 1, why)
        return True

    def _past(self, until: int, why: str) -> Iterator[RawRecord]:
        """What stands for the offsets that cannot be read, from the position on."""
        batch = damaged(self.place, self.position, until, why)
        self.position = until
        yield batch

    def _unpacked(self, data: bytes, end: int) -> Iterator[RawRecord]:
        """Its records, moving the position past each as it is taken. Raises LogTruncated."""
        compared = self.last if self.in_doubt else None
        for batch in batches_of(self.place, data, end):
            if compared is not None and self._is_same(batch, compared):
                compared = None
                self._believe()
            if batch.first > self.position and self.place != PIPELINES:
                yield from self._past(batch.first, "it is missing")
            if batch.fault:
                yield from self._past(max(batch.next, self.position + 1), batch.fault)
            for record in batch.records:
                if record.offset >= self.position:  # a batch comes whole, also where it is read from its middle
                    self.position, self.last, self._wrong_at = record.offset + 1, record, None
                    yield record
            self.position = max(self.position, batch.next)  # past records that compaction took out, too

    def _is_same(self, batch: Batch, last: RawRecord) -> bool:
        """Is it the log that `last` was read from? False where the batch does not say. Raises LogTruncated."""
        if batch.next <= last.offset:
            return False
        if batch.fault or (self.place == PIPELINES and all(record.offset != last.offset for record in batch.records)):
            return True  # damaged, or compacted since
        if not any(record == last for record in batch.records):
            raise LogTruncated(
                self.place.topic,
                self.place.partition,
                self.position,
                "the log has other records below it than were read",
            )
        return True
