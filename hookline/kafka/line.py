"""One place's records on their way to Kafka: what waits, and the one batch that is at the broker. No I/O.

An idempotent producer numbers the records of a place, and its broker takes a batch only if it begins with the number after
the last one it took. So a batch that was refused must be without a number: the next one begins where it began. A broker
refuses a whole batch for one record in it. It is sent again in halves, and these in halves, until that record stands alone.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from hookline.log.cluster import Ack
from hookline.log.records import Draft

__all__ = ["Batch", "Line", "ProducerId", "Sending", "size_of"]

BATCH_BYTES = 256 * 1024
"""Most that one batch takes, before it is compressed (one record may be larger); more waits for that batch to be acked."""
UNBOUNDED = 2**31 - 1
NUMBERS = 2**31
"""Kafka counts a place's records so far, and then from 0 again."""
MAGIC, ZSTD, NOT_TRANSACTIONAL = 2, 4, 0
"""A batch's format, how it is compressed, and that it belongs to no transaction."""


class ProducerId(NamedTuple):
    """Under what a broker knows an idempotent producer."""

    id: int
    epoch: int


class Sending:
    """One append under way. Its caller may be gone by the time it is acked: then the future is cancelled, not the record."""

    __slots__ = ("acked", "deadline", "draft")

    def __init__(self, draft: Draft, deadline: float) -> None:
        self.draft = draft
        self.deadline = deadline
        """Monotonic seconds."""
        self.acked: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        if not self.acked.done():
            self.acked.set_exception(copy(error))  # each caller's own: raised, it grows by a traceback


@dataclass(slots=True)
class Batch:
    """What is sent as one, over and over, until its answer is final."""

    sendings: Sequence[Sending]
    data: bytes
    sent: int = field(default=0)
    """How often. After the second time nobody can say any more that it is not in the log: the first may have landed."""


class Line:
    """The records of one place, in the order of their appends."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        """The one that is sent, or about to be sent again."""
        self._waiting: deque[Sending] = deque()
        self._parts: list[Sequence[Sending]] = []
        """Of batches that were refused: each is a batch of its own, the last one is next, and all go before what waits."""
        self._number = 0
        """Of the next record."""

    def add(self, sending: Sending) -> None:
        self._waiting.append(sending)

    @property
    def has_work(self) -> bool:
        return self.batch is not None or bool(self._parts) or bool(self._waiting)

    def next_batch(self, producer: ProducerId) -> Batch:
        """The one that was sent, if its answer is not final yet; else the next. Only where there is work."""
        assert self.has_work, "a broker refuses a batch of nothing"
        if self.batch is None:
            taken: Sequence[Sending]
            if self._parts:
                taken = self._parts.pop()
                builder = self._builder(producer, UNBOUNDED)
                for n, sending in enumerate(taken):
                    _put(builder, n, sending.draft)
            else:
                builder, taken = self._builder(producer, BATCH_BYTES), []
                while self._waiting and _put(builder, len(taken), self._waiting[0].draft):
                    taken.append(self._waiting.popleft())
            self.batch = Batch(taken, bytes(builder.build()))
        return self.batch

    def acked(self, offset: int, stamped_at: int | None) -> Sequence[Sending]:
        """The batch is in the log, from that offset on; its records."""
        batch = self._answered()
        self._number = (self._number + len(batch.sendings)) % NUMBERS
        for n, sending in enumerate(batch.sendings):
            if not sending.acked.done():
                sending.acked.set_result(Ack(offset + n, stamped_at))
        return batch.sendings

    def refused(self, error: Exception) -> Sequence[Sending]:
        """The batch is not in the log and will not be sent again; its records."""
        batch = self._answered()
        for sending in batch.sendings:
            sending.fail(error)
        return batch.sendings

    def halve(self) -> None:
        """The batch is not in the log, because of at least one of its records: send each half by itself."""
        sendings = self._answered().sendings
        assert len(sendings) > 1, "what stands alone is refused"
        middle = len(sendings) // 2
        self._parts += [sendings[middle:], sendings[:middle]]

    def _answered(self) -> Batch:
        batch, self.batch = self.batch, None
        assert batch is not None, "only what was sent is answered"
        return batch

    def _builder(self, producer: ProducerId, most: int) -> DefaultRecordBatchBuilder:
        return DefaultRecordBatchBuilder(
            MAGIC, ZSTD, NOT_TRANSACTIONAL, producer.id, producer.epoch, self._number, most
        )


def size_of(draft: Draft) -> int:
    """Bytes of a record, at most, before it is compressed."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(draft.key, draft.value, list(draft.headers.items()))
    return size


def _put(builder: DefaultRecordBatchBuilder, number: int, draft: Draft) -> bool:
    """False where the batch has no room for it."""
    return builder.append(number, None, draft.key, draft.value, list(draft.headers.items())) is not None
