"""A member of a consumer group over aiokafka: the four logs, range-assigned, so that partition p of all four is one member's.

A life as a member is one aiokafka consumer, which reads nothing: all it has is paused, and read by a `MemberReader`.
Leaving ends it; the next poll joins anew, with a new member id.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import OffsetAndMetadata

from hookline.errors import CommitRefused, LogUnavailable
from hookline.kafka.client import (
    KAFKA_TROUBLE,
    Connection,
    Membership,
    abandon_consumer,
    check_member,
    client_of,
    commit_once,
    membership,
    polling,
)
from hookline.kafka.start import started
from hookline.log.cluster import Commit, Consumer, GroupListener
from hookline.log.records import LOGS, Place, RawRecord, Topic

__all__ = ["KafkaGroup", "MakeReader", "MemberReader"]

QUIESCE_S = 68.0
"""How long a rebalance waits for its listener at most; above what the dispatcher gives itself."""
REBALANCE_MS = 70_000
"""A member that has not joined a new generation by then is out."""
TELL_S = 1.0
"""How long a rebalance waits for the next poll, to be told from within it."""
COMMIT_S = 5.0
GATHER_MS = 25
"""Pushes and verdicts are read at once: hooks wait for them. Nothing waits for a read-back or a command by milliseconds, and
a fetch costs a broker something for each place that it names."""


class MemberReader(Consumer, Protocol):
    """What reads the places of a member."""

    async def start(self) -> None:
        """Raises LogUnavailable."""

    def hold(self, places: Iterable[Place]) -> None:
        """Have exactly these, all paused, until each is sought and resumed."""


class MakeReader(Protocol):
    def __call__(self, connection: Connection, gather_ms: int = 0, at_once: Iterable[Topic] = ()) -> MemberReader: ...


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's callbacks for one consumer; a consumer that was left is told no more."""

    def __init__(self, group: "KafkaGroup", consumer: AIOKafkaConsumer) -> None:
        self._group = group
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._group.on_revoked(self.consumer)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._group.on_assigned(self.consumer, frozenset(assigned))


class KafkaGroup:
    """`hookline.log.cluster.Group`. A life as a member is one aiokafka consumer; leaving ends it, the next poll joins anew."""

    def __init__(
        self,
        connection: Connection,
        group: str,
        listener: GroupListener,
        instance_id: str,
        session_timeout_ms: int,
        make_reader: MakeReader,
    ) -> None:
        self._connection = connection
        self._group = group
        self._listener = listener
        self._instance_id = instance_id
        self._session_timeout_ms = session_timeout_ms
        self._reader = make_reader(connection, GATHER_MS, at_once=(Topic.PUSHES, Topic.CALLBACKS))
        self.consumer: AIOKafkaConsumer | None = None
        self._under: Membership | None = None
        """What commits are sent under; None while nothing is assigned."""
        self._parting: asyncio.Task[None] | None = None
        """While the group, or `leave`, waits for the listener to quiesce."""
        self._places: frozenset[Place] = frozenset()
        self._polling = asyncio.Event()
        self._closed = False
        self._error: Exception | None = None
        """What the listener raised: aiokafka would only log it, so the next poll raises it."""

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await self._reader.start()
        try:
            await self._join()
        except BaseException:
            await self._reader.close()
            raise

    async def _join(self) -> AIOKafkaConsumer:
        """A new member. Raises LogUnavailable."""
        consumer = AIOKafkaConsumer(
            **self._connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            group_id=f"{self._connection.topic_prefix}{self._group}",
            group_instance_id=self._instance_id or None,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=min(1000, self._session_timeout_ms // 6),
            rebalance_timeout_ms=REBALANCE_MS,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )
        await started(
            self._connection,
            client_of(consumer),
            consumer.start,
            lambda: abandon_consumer(consumer),
            f"member of {self._group}",
        )
        self.consumer = consumer
        # Not before `start`, which would wait for the assignment, while that waits for our first poll.
        consumer.subscribe([self._connection.name(topic) for topic in LOGS], listener=_Rebalances(self, consumer))
        return consumer

    async def _join_again(self, pause_s: float) -> AIOKafkaConsumer | None:
        """After `leave`; None while no broker answers: the next poll tries again."""
        try:
            return await self._join()
        except LogUnavailable:
            await asyncio.sleep(pause_s)
            return None

    def seek(self, place: Place, offset: int) -> None:
        self._reader.seek(place, offset)

    def pause(self, place: Place) -> None:
        self._reader.pause(place)

    def resume(self, place: Place) -> None:
        self._reader.resume(place)

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Raises LogUnavailable, and what the listener raised."""
        if self._closed:
            raise LogUnavailable("this member is closed")
        if (consumer := self.consumer or await self._join_again(timeout_s)) is None:
            return {}
        self._polling.set()
        try:
            check_member(consumer)
            with polling(consumer):
                fetched = await self._reader.poll(timeout_s)
        except LogUnavailable:
            if consumer is self.consumer:
                raise
            fetched = {}  # left while it was polled
        finally:
            self._polling.clear()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return fetched

    async def commit(self, commits: Mapping[Place, Commit]) -> None:
        """Raises CommitRefused."""
        consumer, under = self.consumer, self._under
        if consumer is None or under is None or not commits.keys() <= self._places:
            raise CommitRefused("not ours: the group is rebalancing, or has given it to another member")
        offsets = {self._connection.of(place): OffsetAndMetadata(*commit) for place, commit in commits.items()}
        try:
            async with asyncio.timeout(COMMIT_S):
                if not await commit_once(consumer, under, offsets):
                    raise CommitRefused("the group has moved on without us")
        except KAFKA_TROUBLE as error:
            raise CommitRefused(f"no answer, or a refusal: {error!r}") from error

    async def leave(self) -> None:
        """Never raises. With static membership the group is not told: the next member id makes the old one unknown."""
        await self._part()
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            if self._under is not None:  # assigned in between
                self._forget()
                self._tell(self._listener.revoked)
            await abandon_consumer(consumer)

    async def close(self) -> None:
        self._closed = True
        consumer, self.consumer = self.consumer, None
        self._forget()
        await self._reader.close()
        if consumer is not None:
            await abandon_consumer(consumer)

    async def on_revoked(self, consumer: AIOKafkaConsumer) -> None:
        """The group is rebalancing; it waits for us until we return, and heartbeats go on meanwhile."""
        await self._poll_begun()
        if consumer is self.consumer:
            await self._part()

    async def on_assigned(self, consumer: AIOKafkaConsumer, assigned: frozenset[TopicPartition]) -> None:
        """Pause everything before anything is awaited: aiokafka would begin to fetch it."""
        for tp in assigned:
            consumer.pause(tp)
            consumer.seek(tp, 0)  # any position: with none aiokafka asks for the committed one, over and over
        under = membership(consumer)
        await self._poll_begun()
        if consumer is not self.consumer:
            return
        # All four or nothing: a leader that did not know a topic yet leaves it out, and assigns again when it does.
        partitions = frozenset(
            p for p in {tp.partition for tp in assigned} if all(self._of(t, p) in assigned for t in LOGS)
        )
        self._places = frozenset(Place(t, p) for p in partitions for t in LOGS)
        self._reader.hold(self._places)
        self._under = under
        self._tell(lambda: self._listener.assigned(partitions))

    async def _part(self) -> None:
        """Take everything from the listener, and wait until it has quiesced; all who ask meanwhile wait for the same."""
        if self._parting is None and self._under is not None:
            self._tell(self._listener.revoked)
            self._parting = asyncio.create_task(self._quiesce())
        if self._parting is not None:
            await asyncio.wait({self._parting})

    async def _quiesce(self) -> None:
        try:
            async with asyncio.timeout(QUIESCE_S):
                await self._listener.quiesced()
        except TimeoutError:
            pass  # the listener has said what is left
        except Exception as error:  # noqa: BLE001 - as in `_tell`
            self._error = error
        finally:
            self._forget()
            self._parting = None

    def _forget(self) -> None:
        self._places, self._under = frozenset(), None
        self._reader.assign({})

    def _tell(self, say: Callable[[], None]) -> None:
        try:
            say()
        except Exception as error:  # noqa: BLE001 - the next poll raises it
            self._error = error

    async def _poll_begun(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_S):
                await self._polling.wait()

    def _of(self, topic: Topic, partition: int) -> TopicPartition:
        return self._connection.of(Place(topic, partition))
