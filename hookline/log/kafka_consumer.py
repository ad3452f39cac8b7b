"""Reads over aiokafka, from places and offsets that it is told."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, NoOffsetForPartitionError

from hookline.errors import LogUnavailable
from hookline.log.kafka_client import KAFKA_TROUBLE, Connection, abandon_consumer, fetching_ended
from hookline.log.kafka_start import started
from hookline.log.records import MAX_RECORD_BYTES, Place, RawRecord

__all__ = ["KafkaConsumer", "make_consumer", "poll_records"]

POLL_RECORDS = 4_000
"""Most records of one poll: what the event loop converts in one go."""
WAIT_MS = 100
"""How long a broker waits for the first record; also how long a seek or a resume may wait behind a fetch under way."""
GRACE_S = 0.2
"""How much later than asked a poll may return."""


def make_consumer(connection: Connection, **options: object) -> AIOKafkaConsumer:
    """An aiokafka consumer as all of ours are: nothing is committed, sought or skipped by itself."""
    return AIOKafkaConsumer(
        **connection.options(),
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_min_bytes=1,
        fetch_max_wait_ms=WAIT_MS,
        max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        fetch_max_bytes=4 * MAX_RECORD_BYTES,
        max_poll_records=POLL_RECORDS,
        **options,
    )


async def poll_records(
    consumer: AIOKafkaConsumer, places: Callable[[], Mapping[TopicPartition, Place]], timeout_s: float
) -> dict[Place, Sequence[RawRecord]]:
    """Records of those places; empty after `timeout_s` without any. Raises LogUnavailable.

    `places` is asked after each fetch: a group may give us some in the middle of a poll, and what is fetched of a place
    that is not known is lost.
    """
    # `getmany` returns without a turn of the event loop where there is something, or no time to wait: a loop of polls would hold it.
    await asyncio.sleep(0)
    if fetching_ended(consumer):
        raise LogUnavailable("the consumer has stopped fetching")
    deadline = time.monotonic() + timeout_s
    try:
        # `getmany` waits for a rebalance under way without a timeout of its own. Cancelled there it loses nothing.
        async with asyncio.timeout(timeout_s + GRACE_S):
            while True:
                left_ms = max(0, round((deadline - time.monotonic()) * 1000))
                try:
                    fetched = await consumer.getmany(timeout_ms=left_ms)
                except NoOffsetForPartitionError:
                    continue  # a place that the group gave us and nobody has sought yet
                current = places()
                known = {place: records for tp, records in fetched.items() if (place := current.get(tp)) is not None}
                if known or not left_ms:
                    return {place: _raw(place, records) for place, records in known.items()}
    except TimeoutError:
        return {}
    except ConsumerStoppedError:
        raise LogUnavailable("this consumer is closed") from None
    except KAFKA_TROUBLE as error:
        raise LogUnavailable(f"cannot read on: {error!r}") from error


def _raw(place: Place, records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[RawRecord]:
    return [RawRecord(place, r.offset, r.timestamp, r.key, r.value, dict(r.headers)) for r in records]


class KafkaConsumer:
    """`hookline.log.cluster.Consumer` without a group."""

    def __init__(self, connection: Connection, gather_ms: int = 0) -> None:
        self._connection = connection
        self._consumer = make_consumer(connection)
        self._places: dict[TopicPartition, Place] = {}
        # Gathered here and not by the broker (fetch.min.bytes): a fetch that waits there is looked at again, over all its
        # partitions, at each append to one of them.
        self._gather_s = gather_ms / 1000
        self._next_at = 0.0
        """When the next poll may begin (monotonic seconds)."""

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(self._connection, self._consumer.start, self.close, "consumer")

    def assign(self, positions: Mapping[Place, int]) -> None:
        self._places = {self._connection.of(place): place for place in positions}
        self._consumer.assign(list(self._places))
        for place, offset in positions.items():
            self._consumer.seek(self._connection.of(place), offset)

    def seek(self, place: Place, offset: int) -> None:
        if (tp := self._connection.of(place)) in self._places:
            self._consumer.seek(tp, offset)

    def pause(self, place: Place) -> None:
        if (tp := self._connection.of(place)) in self._places:
            self._consumer.pause(tp)

    def resume(self, place: Place) -> None:
        if (tp := self._connection.of(place)) in self._places:
            self._consumer.resume(tp)

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Raises LogUnavailable."""
        if (left_s := min(self._next_at - time.monotonic(), timeout_s)) > 0:
            await asyncio.sleep(left_s)
            timeout_s -= left_s
        fetched = await poll_records(self._consumer, lambda: self._places, timeout_s)
        if fetched:
            self._next_at = time.monotonic() + self._gather_s
        return fetched

    async def close(self) -> None:
        await abandon_consumer(self._consumer)
