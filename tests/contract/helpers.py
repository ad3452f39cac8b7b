"""Words for the contract tests: ask until there is an answer, wait for a condition, read some records, be a member of a group."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from hookline.errors import AppendFailed, CommitRefused, LogUnavailable
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.cluster import Cluster, Commit, Consumer, Group
from hookline.log.records import LOGS, Draft, Place, RawRecord, Topic
from hookline.log.writer import Writer
from hookline.testing.memory_broker import MemoryBroker
from tests.kit.waiting import until

PARTITIONS = 4
WITHIN_S = 60.0
"""Deadline of everything that is waited for: far above what it takes, so that a busy machine fails nothing."""

Answer = TypeVar("Answer")

HERE = Place(Topic.CALLBACKS, 1)
THERE = Place(Topic.CALLBACKS, 2)


def is_faulty(cluster: Cluster) -> bool:
    """May an append or a read fail here?"""
    return isinstance(cluster, MemoryBroker) and cluster.faults.late > 0


async def answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until something other than LogUnavailable comes."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            return await ask()
        except LogUnavailable:
            assert time.monotonic() < deadline


async def append(writer: Writer, place: Place, *values: bytes) -> list[int]:
    """Append one after the other, each again until it is acked; the offsets. With faults some may lie there twice."""
    return [await append_draft(writer, Draft(place, None, value)) for value in values]


async def append_draft(writer: Writer, draft: Draft) -> int:
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            return await writer.append(draft)
        except AppendFailed:
            assert time.monotonic() < deadline


async def read(consumer: Consumer, place: Place, count: int) -> list[RawRecord]:
    """Poll until that many of the place have come; what comes of others meanwhile is lost."""
    return (await read_each(consumer, {place: count}))[place]


async def read_each(consumer: Consumer, counts: Mapping[Place, int]) -> dict[Place, list[RawRecord]]:
    """Poll until that many of each place have come, in whatever order."""
    records: dict[Place, list[RawRecord]] = {place: [] for place in counts}
    deadline = time.monotonic() + WITHIN_S
    while any(len(records[place]) < count for place, count in counts.items()):
        fetched = await consumer.poll(0.2)
        for place in counts:
            records[place] += fetched.get(place, ())
        came = {str(place): len(found) for place, found in records.items()}
        assert time.monotonic() < deadline, f"{came} came of {counts}"
    return records


async def read_log(cluster: Cluster, place: Place) -> list[RawRecord]:
    """Everything that lies there, from its start to its end."""
    offsets, consumer = await cluster.offsets(), await cluster.consumer()
    try:
        start = (await answered(lambda: offsets.starts([place])))[place]
        end = (await answered(lambda: offsets.ends([place])))[place]
        consumer.assign({place: start})
        return await read(consumer, place, end - start)
    finally:
        await consumer.close()
        await offsets.close()


async def poll_on(consumer: Consumer) -> None:
    """Poll until it raises."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        await consumer.poll(0.2)


async def kafka_with_topics(servers: str, prefix: str, **options: object) -> KafkaCluster:
    """Real Kafka with the seven topics and a log_id."""
    made = KafkaCluster(servers, prefix, client_id="contract", **({"session_timeout_ms": 3000} | options))  # type: ignore[arg-type]
    await create_topics(made, partitions=PARTITIONS)
    return made


def values(records: list[RawRecord]) -> list[bytes | None]:
    return [record.value for record in records]


class Member:
    """A member of the group `g` that polls all the time and keeps what it is told and what it reads."""

    def __init__(self) -> None:
        self.partitions: frozenset[int] | None = None
        """None while revoked, or before the first assignment."""
        self.told: list[frozenset[int] | None] = []
        self.read: defaultdict[Place, list[RawRecord]] = defaultdict(list)
        self.may_part = asyncio.Event()
        """Set: nothing of this member is ever under way."""
        self.may_part.set()
        self.group: Group
        self._task: asyncio.Task[None] | None = None

    async def join(self, cluster: Cluster, group: str = "g") -> None:
        self.group = await answered(lambda: cluster.group(group, self))
        self._task = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            for place, records in (await self.group.poll(0.1)).items():
                self.read[place] += records

    def revoked(self) -> None:
        assert self.partitions is not None, "nothing is taken away twice"
        self.partitions = None
        self.told.append(None)

    async def quiesced(self) -> None:
        await self.may_part.wait()

    def assigned(self, partitions: frozenset[int]) -> None:
        self.partitions = partitions
        self.told.append(partitions)

    def start(self, partition: int, offset: int = 0) -> None:
        for topic in LOGS:
            self.group.seek(Place(topic, partition), offset)
            self.group.resume(Place(topic, partition))

    async def commit(self, commits: Mapping[Place, Commit]) -> None:
        """Until it is taken: leaving and joining anew after each refusal, as design section 4 says."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            await until(lambda: self.partitions is not None)
            try:
                return await self.group.commit(commits)
            except CommitRefused:
                assert time.monotonic() < deadline
                await self.group.leave()

    async def ended(self) -> None:
        """Once it polls no more. Raises what a poll did."""
        assert self._task is not None, "joined first"
        await asyncio.wait({self._task})
        self._task.result()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, LogUnavailable):
                await self._task
        await self.group.close()


@contextlib.asynccontextmanager
async def members(cluster: Cluster, count: int) -> AsyncIterator[list[Member]]:
    """That many members, once the partitions are shared out among them."""
    joined: list[Member] = []
    try:
        for _ in range(count):
            joined.append(Member())
            await joined[-1].join(cluster)
        await until(lambda: shared_out(joined))
        yield joined
    finally:
        for member in joined:
            await member.close()


def shared_out(among: list[Member]) -> bool:
    """Has each member partitions, no two the same, and are these all?"""
    owned = [p for member in among for p in member.partitions or ()]
    return all(member.partitions for member in among) and sorted(owned) == list(range(PARTITIONS))
