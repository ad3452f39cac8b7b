"""Appends over aiokafka: idempotent, acks=all, given up after a deadline."""

import asyncio
import time
from collections import defaultdict

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from hookline.errors import AppendFailed
from hookline.log.cluster import Ack
from hookline.log.kafka_client import KAFKA_TROUBLE, Connection, abandon_producer, sends_of
from hookline.log.kafka_start import started
from hookline.log.records import MAX_RECORD_BYTES, Draft, Place

__all__ = ["KafkaProducer"]

LOG_APPEND_TIME = 1
"""Timestamp type of an ack whose time is the broker's."""
BATCH_BYTES = 256 * 1024
"""Most that one batch of a place takes; more waits for the batch before it to be acked."""


class KafkaProducer:
    """`hookline.log.cluster.Producer`. `append_timeout_s`: seconds until an append without an ack has failed."""

    def __init__(self, connection: Connection, append_timeout_s: float) -> None:
        self._connection = connection
        self._append_timeout_s = append_timeout_s
        self._producer = AIOKafkaProducer(
            # Also the longest that a `send` waits for metadata, or for room in a batch.
            **connection.options(request_timeout_ms=round(append_timeout_s * 1000)),
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
        )
        self._sends = sends_of(self._producer)
        # aiokafka keeps the order of `send` calls but not where one waits for room in a batch.
        self._turn: defaultdict[Place, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unacked: dict[asyncio.Future[RecordMetadata], float] = {}
        """What was sent, in order, and when its time is up (monotonic seconds). A caller may be gone by then."""
        self._alarm: asyncio.TimerHandle | None = None
        """Set while something is unacked: one for all, since a timeout of its own is a good part of an append's cost."""
        self._broken = False

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(self._connection, self._producer.start, self.close, "producer")

    @property
    def broken(self) -> bool:
        if self._unacked and next(iter(self._unacked.values())) < time.monotonic():
            self._broken = True
        return self._broken

    async def append(self, draft: Draft) -> int:
        """Raises AppendFailed."""
        return (await self.send(draft)).offset

    async def send(self, draft: Draft) -> Ack:
        """Raises AppendFailed."""
        if self.broken:
            raise AppendFailed("this producer failed before")
        name, partition = self._connection.of(draft.place)
        deadline = time.monotonic() + self._append_timeout_s
        try:
            async with self._turn[draft.place]:
                if self.broken:
                    raise AppendFailed("this producer failed before")
                sent = await self._producer.send(
                    name,
                    draft.value,
                    draft.key,
                    partition,
                    headers=list(draft.headers.items()),
                )
            ack = await self._acked(sent, deadline)
        except (*KAFKA_TROUBLE, AssertionError) as error:  # it asserts that the partition exists
            self._broken = True
            why = f"no ack within {self._append_timeout_s:g} s" if isinstance(error, TimeoutError) else repr(error)
            raise AppendFailed(f"{name}[{partition}]: {why}") from error
        return Ack(ack.offset, ack.timestamp if ack.timestamp_type == LOG_APPEND_TIME else None)

    async def close(self) -> None:
        self._broken = True
        if self._alarm is not None:
            self._alarm.cancel()
        await abandon_producer(self._producer, self._sends)

    def _acked(self, sent: asyncio.Future[RecordMetadata], deadline: float) -> asyncio.Future[RecordMetadata]:
        """The ack, or TimeoutError at the deadline. A future of its own: a caller that is cancelled takes back its wait,
        not the record."""
        acked: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._unacked[acked] = deadline
        sent.add_done_callback(lambda _: self._settle(sent, acked))
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._append_timeout_s, self._ring)
        return acked

    def _settle(self, sent: asyncio.Future[RecordMetadata], acked: asyncio.Future[RecordMetadata]) -> None:
        del self._unacked[acked]
        error = (
            asyncio.CancelledError() if sent.cancelled() else sent.exception()
        )  # seen, also where the caller is gone
        if acked.done():
            return
        if isinstance(error, asyncio.CancelledError):
            acked.cancel()
        elif error is not None:
            acked.set_exception(error)
        else:
            acked.set_result(sent.result())

    def _ring(self) -> None:
        """The time of the first that was unacked is up: if it still is, this producer is broken and all overdue have failed."""
        now, self._alarm = time.monotonic(), None
        for acked, deadline in self._unacked.items():
            if deadline > now:
                self._alarm = asyncio.get_running_loop().call_later(deadline - now, self._ring)
                return
            self._broken = True
            if not acked.done():
                acked.set_exception(TimeoutError())
