"""Reads places from the offsets that it is told, over Kafka's Fetch.

aiokafka's own consumer names every place in each fetch, makes several objects of a record, and knows committed offsets,
resets and deserializers, none of which a log reader wants. Connections, metadata, protocol and record batches are aiokafka's.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import NoError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchResponse_v11

from hookline.errors import LogError, LogUnavailable, Refused
from hookline.kafka.client import KAFKA_TROUBLE, Connection, abandon_client
from hookline.kafka.cursor import Answer, Cursor, Pace
from hookline.kafka.rights import missing_right
from hookline.kafka.session import MAX_PLACE_BYTES, Fetch, FetchSession
from hookline.kafka.start import started
from hookline.log.records import Place, RawRecord, Topic

__all__ = ["KafkaConsumer"]

POLL_RECORDS = 4_000
"""Most records of one poll: what the event loop converts in one go."""
BUSY_MS = 5
"""How long a busy log that is read at once is left alone."""
NOWHERE = 0
"""The position of a place that is to be sought."""
AGAIN_S = 0.1
"""After an error that time mends: how long until a broker is asked again."""


class _Lane:
    """What is fetched of one broker at one pace: a session, and its fetch under way."""

    def __init__(self, node: int, pace: Pace, session: FetchSession) -> None:
        self.node = node
        self.pace = pace
        self.session = session
        self.fetching: asyncio.Task[None] | None = None


class KafkaConsumer:
    """`hookline.log.cluster.Consumer`, without a group. The next fetch goes out while the records of one are worked on.

    gather_ms: a fetch begins so much later than the records of the previous one were delivered, except for the topics `at_once`. Here and
    not by the broker (`min_bytes`): that looks at all places of a waiting fetch again at each append to one of them.
    """

    def __init__(
        self,
        connection: Connection,
        gather_ms: int = 0,
        at_once: Iterable[Topic] = (),
        make_client: Callable[..., AIOKafkaClient] = AIOKafkaClient,
    ) -> None:
        """make_client: for tests, of what answers in place of brokers."""
        self._connection = connection
        self._client = make_client(**connection.options())
        self._gathered = Pace(ConnectionGroup.DEFAULT, gather_ms)
        self._paces = dict.fromkeys(at_once, Pace(ConnectionGroup.COORDINATION, 0, BUSY_MS))
        self._cursors: dict[TopicPartition, Cursor] = {}
        self.lanes: dict[tuple[int, Pace], _Lane] = {}
        self._throttled_until: dict[int, float] = {}
        """By broker, monotonic seconds: a quota of its is used up, and it asked to be left alone so long (KIP-219)."""
        self._ready: dict[TopicPartition, Cursor] = {}
        """Those that have something fetched, or an error."""
        self._news = asyncio.Event()
        """Set by whatever a waiting poll should look at."""
        self._asked_leaders_at = 0.0
        self._bug: Exception | None = None
        self._closed = False

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(self._connection, self._client, self._client.bootstrap, self.close, "consumer")
        self._client.cluster.add_listener(lambda _: self._find_leaders())

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read exactly these."""
        self._remember()
        self._replace([self._cursor(place, offset, paused=False) for place, offset in positions.items()])

    def hold(self, places: Iterable[Place]) -> None:
        """Have exactly these, all paused, until each is sought and resumed."""
        self._remember()
        self._replace([self._cursor(place, NOWHERE, paused=True) for place in places])

    def seek(self, place: Place, offset: int) -> None:
        tp = self._connection.of(place)
        if (cursor := self._cursors.get(tp)) is not None:
            cursor.seek(offset, self._connection.last_reads.before(place, offset))
            self._ready.pop(tp, None)
            self._touch(tp, cursor)

    def pause(self, place: Place) -> None:
        self._set_paused(place, True)

    def resume(self, place: Place) -> None:
        self._set_paused(place, False)

    def in_doubt(self, place: Place) -> bool:
        cursor = self._cursors.get(self._connection.of(place))
        return cursor is not None and cursor.in_doubt

    def hurry(self) -> None:
        self._gathered.hurry()
        self._news.set()

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Raises LogUnavailable, OffsetOutOfRange."""
        # A loop of polls that always find something, or have no time to wait, would hold the event loop.
        await asyncio.sleep(0)
        until = time.monotonic() + timeout_s
        while True:
            self._check()
            self._news.clear()
            taken = self._take()
            again_at = self._fetch()
            if taken:
                return taken
            left_s = min(until, again_at) - time.monotonic()
            if left_s > 0:
                await self._told_within(left_s)
            elif until <= again_at:
                return {}

    async def close(self) -> None:
        self._closed = True
        self._remember()
        self._news.set()
        fetching = [lane.fetching for lane in self.lanes.values() if lane.fetching is not None]
        for task in fetching:
            task.cancel()
        if fetching:
            await asyncio.wait(fetching)
        await abandon_client(self._client)

    # ---- delivering

    def _check(self) -> None:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        if self._bug is not None:
            raise self._bug

    def _take(self) -> dict[Place, list[RawRecord]]:
        """Up to POLL_RECORDS of what is fetched. Raises the error of a place, before anything is taken of others."""
        self._raise_error()
        taken: dict[Place, list[RawRecord]] = {}
        room, brought = POLL_RECORDS, Counter[Pace]()
        for tp, cursor in list(self._ready.items()):
            if cursor.paused or not room:
                continue
            if cursor.fetched is not None and (records := self._some(cursor, cursor.fetched, room)):
                taken[cursor.place] = records
                room -= len(records)
                brought[cursor.pace] += len(records)
            if cursor.fetched is None and cursor.error is None:
                del self._ready[tp]
                self._touch(tp, cursor)
        for pace, count in brought.items():
            pace.begin(count)
        if not taken:
            self._raise_error()
        return taken

    @staticmethod
    def _some(cursor: Cursor, fetched: Iterator[RawRecord], most: int) -> list[RawRecord]:
        records: list[RawRecord] = []
        try:
            for record in fetched:
                records.append(record)
                if len(records) == most:
                    return records
        except LogError as error:
            cursor.error = error
        cursor.fetched = None
        return records

    def _raise_error(self) -> None:
        for tp, cursor in self._ready.items():
            if not cursor.paused and cursor.fetched is None and (error := cursor.fail()) is not None:
                del self._ready[tp]
                self._touch(tp, cursor)
                if cursor.has_failed:
                    self._connection.last_reads.forget(cursor.place)
                raise error

    async def _told_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    # ---- fetching

    def _fetch(self) -> float:
        """Ask each broker that has nothing to answer, unless what it brought is not delivered yet.

        When a pace, or its broker, lets the next begin: monotonic seconds, infinite where none is waited for.
        Raises Refused where there is a place that Kafka does not let us see.
        """
        if lost := [tp.topic for tp, cursor in self._cursors.items() if cursor.leader is None]:
            self._ask_leaders()
            if hidden := self._client.cluster.unauthorized_topics.intersection(lost):
                raise Refused(missing_right(min(hidden), "Describe"))
        unread = {cursor.pace for cursor in self._ready.values() if not cursor.paused}
        now, again_at = time.monotonic(), math.inf
        for lane in self.lanes.values():
            if lane.fetching is not None or lane.pace in unread:
                continue
            if (next_at := max(lane.pace.next_at, self._throttled_until.get(lane.node, 0))) > now:
                again_at = min(again_at, next_at)
            elif (fetch := lane.session.next_fetch()) is not None:
                lane.fetching = asyncio.create_task(self._run(lane, fetch))
        return again_at

    async def _run(self, lane: _Lane, fetch: Fetch) -> None:
        mends = True
        try:
            answer = await self._client.send(lane.node, fetch, group=lane.pace.connection)
            mends = self._take_answer(lane, answer)
        except KAFKA_TROUBLE:
            self._doubt(lane)
        except Exception as error:  # noqa: BLE001 - the next poll raises it
            self._bug = error
        try:
            if mends:
                lane.session.begin_anew()  # else its broker does not say again what it has said
                self._ask_leaders()
                await asyncio.sleep(AGAIN_S)
        finally:
            lane.fetching = None
            self._news.set()

    def _take_answer(self, lane: _Lane, answer: FetchResponse_v11) -> bool:
        """True where something is wrong that time mends."""
        if answer.throttle_time_ms:
            self._throttled_until[lane.node] = time.monotonic() + answer.throttle_time_ms / 1000
        topics = answer.topics if not answer.error_code else ()
        size = sum(len(partition[-1] or b"") for _, partitions in topics for partition in partitions)
        mends = False
        for topic, partitions in topics:
            for partition, code, end, _, start, _, _, data in partitions:
                tp = TopicPartition(topic, partition)
                cursor = self._cursors.get(tp)
                if cursor is None or cursor.paused or cursor.reads_from != lane.session.told(tp):
                    continue  # it was taken away, or sought, meanwhile
                error = for_code(code)
                if error is TopicAuthorizationFailedError:
                    cursor.error = Refused(missing_right(topic, "Read"))
                elif not cursor.answered(
                    Answer(None if error is NoError else error(), start, end, data or b"", size >= MAX_PLACE_BYTES)
                ):
                    mends = True
                if cursor.fetched is not None or cursor.error is not None:
                    self._ready[tp] = cursor
                else:
                    self._touch(tp, cursor)
        if lane.session.answered(answer):
            return mends
        self._doubt(lane)
        return True

    def _doubt(self, lane: _Lane) -> None:
        """Its broker was away, or has forgotten us: nobody knows what it has now."""
        for tp, cursor in self._cursors.items():
            if cursor.leader == lane.node and cursor.pace is lane.pace:
                cursor.in_doubt = True
                self._touch(tp, cursor)

    # ---- what is read, and where

    def _cursor(self, place: Place, position: int, paused: bool) -> Cursor:
        last = self._connection.last_reads.before(place, position)
        return Cursor(place, position, self._paces.get(place.topic, self._gathered), paused, last)

    def _remember(self) -> None:
        """A place may be read on later from where it is now: then it must still be that log."""
        for cursor in self._cursors.values():
            if cursor.last is not None:
                self._connection.last_reads.put(cursor.last)

    def _replace(self, cursors: Iterable[Cursor]) -> None:
        before, self._cursors = self._cursors, {self._connection.of(cursor.place): cursor for cursor in cursors}
        self._ready.clear()
        for tp, cursor in before.items():
            self._touch(tp, cursor)
        if self._cursors:
            self._client.set_topics({tp.topic for tp in self._cursors})
        self._find_leaders()

    def _set_paused(self, place: Place, paused: bool) -> None:
        tp = self._connection.of(place)
        if (cursor := self._cursors.get(tp)) is not None and cursor.paused is not paused:
            cursor.paused = paused
            cursor.in_doubt |= not paused  # whatever happened meanwhile
            self._touch(tp, cursor)

    def _find_leaders(self) -> None:
        """At each news about the cluster."""
        for tp, cursor in self._cursors.items():
            node = self._client.cluster.leader_for_partition(tp)
            leader = None if node is None or node == -1 else int(node)
            if leader != cursor.leader:
                self._touch(tp, cursor)
                cursor.in_doubt |= cursor.leader is not None
                cursor.leader = leader
                self._touch(tp, cursor)

    def _ask_leaders(self) -> None:
        if (now := time.monotonic()) - self._asked_leaders_at >= AGAIN_S:
            self._asked_leaders_at = now
            self._client.force_metadata_update()

    def _touch(self, tp: TopicPartition, cursor: Cursor) -> None:
        """Its position, or whether it is read, has changed: its broker is told with the next fetch."""
        if cursor.leader is not None:
            self._lane(cursor.leader, cursor.pace).session.touch(tp)
            self._news.set()

    def _lane(self, node: int, pace: Pace) -> _Lane:
        if (lane := self.lanes.get((node, pace))) is None:
            session = FetchSession(lambda tp: self._position(tp, node))
            lane = self.lanes[node, pace] = _Lane(node, pace, session)
        return lane

    def _position(self, tp: TopicPartition, node: int) -> int | None:
        """Where it is read from next at that broker; None where it is not."""
        cursor = self._cursors.get(tp)
        if cursor is None or cursor.leader != node or cursor.paused or cursor.has_failed or tp in self._ready:
            return None
        return cursor.reads_from
