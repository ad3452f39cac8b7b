"""A producer that is replaced when it breaks: for all who append and answer somebody (503, or a restore) when that fails."""

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from hookline.clock import Clock, SystemClock
from hookline.errors import AppendFailed, LogUnavailable, NotAuthorised, RecordRefused, RecordTooLarge
from hookline.log.cluster import Cluster, Producer
from hookline.log.records import Draft, Topic
from hookline.log.skew import ClockSkew

__all__ = ["Writer"]

log = structlog.get_logger()

PATIENCE_S = 1.0
"""How long an append waits for a producer that is just being made, before anything has gone wrong with making it."""
MIN_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0
"""Between two tries to make a producer."""
MOST_PENDING = 64 * 1024 * 1024
"""Bytes that may wait for their ack; more is refused, so that memory stays bounded however many ask."""

REFUSED = Counter("hookline_records_refused", "Records that Kafka refuses", ["topic", "reason"])


class Writer:
    """One producer at a time. Made with the first append or `start`; while there is none, appends fail at once.

    A record that Kafka refuses is said in the log and counted; the producer goes on.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock | None = None,
        on_refusal: Callable[[], None] = lambda: None,
        skew: ClockSkew | None = None,
    ) -> None:
        """on_refusal: called after each refusal; somebody may have changed the topics. skew: told of each ack."""
        self._cluster = cluster
        self._clock = clock or SystemClock()
        self._on_refusal = on_refusal
        self._skew = skew or ClockSkew(self._clock)
        self._denied: set[Topic] = set()
        """Where we may not write, as the last append there was told: said once."""
        self._producer: Producer | None = None
        self._making: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        """Set when a producer was made, or could not be."""
        self._closing: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._closed = False

    def start(self) -> None:
        """Begin to make the producer, in the background, until there is one."""
        if self._making is None and self._producer is None and not self._closed:
            self._tried.clear()
            self._making = asyncio.create_task(self._make())

    @property
    def ready(self) -> bool:
        return self._producer is not None and not self._producer.broken

    async def append(self, draft: Draft) -> int:
        """Append and return the offset once all in-sync replicas have it. Raises AppendFailed and RecordRefused, as a Producer."""
        size = len(draft.value or b"")
        if self._pending + size > MOST_PENDING:
            raise AppendFailed(f"more than {MOST_PENDING} bytes wait for Kafka's acks")
        self._pending += size
        try:
            producer = await self._current()
            try:
                sent_at = self._clock.now_ms()
                ack = await producer.send(draft)
                self._skew.note(sent_at, ack.stamped_at, self._clock.now_ms())
                self._denied.discard(draft.place.topic)
                return ack.offset
            except RecordRefused as refused:
                self._say(draft.place.topic, refused)
                raise
            except AppendFailed as error:
                if self._producer is producer:  # the first of all that it had under way
                    log.warning("an append failed, making another producer", reason=str(error))
                self._replace(producer)
                raise
        finally:
            self._pending -= size

    async def close(self) -> None:
        """Give up what is not acked; never raises, never waits for brokers that are away."""
        self._closed = True
        self._tried.set()
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait({self._making})
        if self._producer is not None:
            self._retire(self._producer)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _current(self) -> Producer:
        """The producer. Raises AppendFailed while there is none."""
        if self._producer is not None and self._producer.broken:
            self._replace(self._producer)
        if self._producer is None:
            self.start()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._tried.wait()
            except TimeoutError:
                pass
        if self._producer is None or self._closed:
            raise AppendFailed("not sent: this writer is closed" if self._closed else "not sent: no broker answers")
        return self._producer

    def _say(self, topic: Topic, refused: RecordRefused) -> None:
        REFUSED.labels(topic, _reason(refused)).inc()
        self._on_refusal()
        if topic not in self._denied:
            log.error("Kafka refuses a record", topic=topic, reason=str(refused))
        if isinstance(refused, NotAuthorised):
            self._denied.add(topic)

    def _replace(self, broken: Producer) -> None:
        if self._producer is broken:
            self._retire(broken)
            self.start()

    def _retire(self, producer: Producer) -> None:
        self._producer = None
        task = asyncio.create_task(producer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _make(self) -> None:
        try:
            self._producer = await self._made()
        finally:
            self._making = None
            self._tried.set()

    async def _made(self) -> Producer:
        pause_s = MIN_PAUSE_S
        while True:
            try:
                return await self._cluster.producer()
            except LogUnavailable as error:
                self._tried.set()
                log.warning("no producer", reason=str(error), again_in_s=pause_s)
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


def _reason(refused: RecordRefused) -> str:
    """As the metric names it."""
    match refused:
        case RecordTooLarge():
            return "too_large"
        case NotAuthorised():
            return "not_authorised"
        case _:
            return "invalid"
