"""The consumer to fall back to where our own fetcher is suspected: the same interface over aiokafka's consumer.

`HOOKLINE_KAFKA_FETCHER=aiokafka` chooses it. It delivers the same records (`tests/contract/test_fetchers.py`), and cannot do
four things that `KafkaConsumer` does:

* It names no damaged batch: aiokafka says only that there is one, so that reading fails there (LogUnavailable), again and again.
* It does not notice that a log has become another one, unless that one ends below what was read: nothing is ever `in_doubt`.
* It gathers nothing, and each fetch names every place: a third more CPU.
* The error of one place may come after records of others that were fetched with it.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from hookline.errors import LogUnavailable, OffsetOutOfRange, Refused
from hookline.kafka.client import Connection, abandon_consumer, client_of
from hookline.kafka.cursor import OUT_OF_RANGE, SURE_S
from hookline.kafka.rights import missing_right
from hookline.kafka.session import MAX_BYTES, MAX_PLACE_BYTES, WAIT_MS
from hookline.kafka.start import started
from hookline.log.records import PIPELINES, Place, RawRecord, Topic, damaged

__all__ = ["FallbackConsumer"]

POLL_RECORDS = 4_000
"""Most records of one poll."""
AGAIN_S = 0.1
"""Until a broker is asked again for an offset that it says it has not."""


class _Spot:
    """One place: the offset that comes next, and why nothing is read of it, where nothing is."""

    def __init__(self, place: Place, position: int, paused: bool) -> None:
        self.place = place
        self.position = position
        self.paused = paused
        self.has_failed = False
        self.wrong_since: float | None = None
        """Since when brokers have said that the position is not in the log, monotonic seconds."""


class FallbackConsumer:
    """`hookline.log.cluster.Consumer` over AIOKafkaConsumer, without a group. gather_ms, at_once: not gone by."""

    def __init__(self, connection: Connection, gather_ms: int = 0, at_once: Iterable[Topic] = ()) -> None:
        self._connection = connection
        self._consumer = AIOKafkaConsumer(
            **connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=WAIT_MS,
            fetch_max_bytes=MAX_BYTES,
            max_partition_fetch_bytes=MAX_PLACE_BYTES,
        )
        self._spots: dict[TopicPartition, _Spot] = {}
        self._closed = False

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(
            self._connection, client_of(self._consumer), self._consumer.start, self.close, "aiokafka's consumer"
        )
        self._consumer.assign([])  # else a poll waits for an assignment, whatever its timeout

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read exactly these."""
        self._replace([_Spot(place, offset, paused=False) for place, offset in positions.items()])

    def hold(self, places: Iterable[Place]) -> None:
        """Have exactly these, all paused, until each is sought and resumed."""
        self._replace([_Spot(place, 0, paused=True) for place in places])

    def seek(self, place: Place, offset: int) -> None:
        tp = self._connection.of(place)
        if (before := self._spots.get(tp)) is not None:
            self._spots[tp] = _Spot(place, offset, before.paused)
            self._consumer.seek(tp, offset)
            self._let_in(tp)

    def pause(self, place: Place) -> None:
        self._set_paused(place, True)

    def resume(self, place: Place) -> None:
        self._set_paused(place, False)

    def in_doubt(self, place: Place) -> bool:
        """Always False: nothing tells it of connections that were lost."""
        return False

    def hurry(self) -> None:
        """It never gathers."""

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Raises LogUnavailable, OffsetOutOfRange."""
        await asyncio.sleep(0)  # `getmany` gives others no turn where there is something, or no time to wait
        until = time.monotonic() + timeout_s
        while True:
            self._check()
            left_ms = max(0, int((until - time.monotonic()) * 1000))
            try:
                fetched = await self._consumer.getmany(timeout_ms=left_ms, max_records=POLL_RECORDS)
            except OffsetOutOfRangeError as error:
                self._out_of_range(error.args[0])
                await asyncio.sleep(min(AGAIN_S, left_ms / 1000))
            except TopicAuthorizationFailedError as error:
                raise Refused(missing_right(error.args[0], "Read")) from error
            except KafkaError as error:
                raise LogUnavailable(f"aiokafka's consumer cannot read on: {error!r}") from error
            else:
                return {self._spots[tp].place: self._taken(self._spots[tp], records) for tp, records in fetched.items()}
            if not left_ms:
                return {}

    async def close(self) -> None:
        self._closed = True
        await abandon_consumer(self._consumer)

    def _check(self) -> None:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        if hidden := client_of(self._consumer).cluster.unauthorized_topics.intersection(tp.topic for tp in self._spots):
            raise Refused(missing_right(min(hidden), "Describe"))

    def _taken(self, spot: _Spot, records: Sequence[ConsumerRecord]) -> list[RawRecord]:
        """As the log has them, with what stands for offsets between them that no broker gave."""
        taken: list[RawRecord] = []
        for record in records:
            raw = RawRecord(spot.place, record.offset, record.timestamp, record.key, record.value, dict(record.headers))
            if raw.offset > spot.position and spot.place != PIPELINES:  # which is compacted
                taken.append(damaged(spot.place, spot.position, raw.offset, "it is missing"))
            taken.append(raw)
            spot.position, spot.wrong_since = raw.next_offset, None
        return taken

    def _out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """Raises OffsetOutOfRange where brokers have said so for long: a deposed leader says it of what the next one took."""
        for tp, position in positions.items():
            if (spot := self._spots.get(tp)) is None or spot.position != position:
                continue  # taken away, or sought, meanwhile
            now = time.monotonic()
            spot.wrong_since = spot.wrong_since or now
            if now - spot.wrong_since >= SURE_S:
                spot.has_failed = True
                self._consumer.pause(tp)
                raise OffsetOutOfRange(*spot.place, position, OUT_OF_RANGE)

    def _replace(self, spots: Iterable[_Spot]) -> None:
        self._spots = {self._connection.of(spot.place): spot for spot in spots}
        self._consumer.assign(list(self._spots))
        for tp, spot in self._spots.items():
            self._consumer.seek(tp, spot.position)
            self._let_in(tp)

    def _set_paused(self, place: Place, paused: bool) -> None:
        tp = self._connection.of(place)
        if (spot := self._spots.get(tp)) is not None:
            spot.paused = paused
            self._let_in(tp)

    def _let_in(self, tp: TopicPartition) -> None:
        """Have aiokafka fetch it, or not."""
        spot = self._spots[tp]
        if spot.paused or spot.has_failed:
            self._consumer.pause(tp)
        else:
            self._consumer.resume(tp)
