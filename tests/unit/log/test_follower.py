"""A fifth reader, and how the follower treats it: what a reader of its own costs is what `Counts` and `follow` are."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from hookline.chain.events import SkipRequested
from hookline.clock import SystemClock
from hookline.errors import Unfoldable
from hookline.log.codec import encode, type_of
from hookline.log.follower import Follower
from hookline.log.reader import PartitionReader, Read
from hookline.log.reader_interface import SnapshotReading
from hookline.log.reader_status import ReaderStatus, State
from hookline.log.records import Draft, Place, Topic
from hookline.log.snapshots import Restored
from hookline.testing.memory import MemoryCluster
from tests.kit.events import plan, push
from tests.kit.waiting import until

LOG_ID = UUID(int=7)
PARTITIONS = 2
PUSHED = "hookline.PushReceived.v1"
FAULTY = b"faulty"
"""The key of a record that nobody can fold."""


class Counts:
    """`hookline.log.reader_interface.Taker`: how many events of each type there are in a partition."""

    def __init__(self) -> None:
        self.types = Counter[str]()
        self.looks = 0

    def begin(self, restored: Restored, reader: PartitionReader) -> None:
        self.types.clear()

    def take(self, read: Read) -> None:
        if read.record.raw.key == FAULTY:
            raise Unfoldable(read.record.topic, read.record.partition, read.record.offset, "on purpose")
        self.types[type_of(read.record.event)] += 1

    def moved(self) -> None:
        self.looks += 1

    def lose(self) -> None:
        self.types.clear()


@contextlib.asynccontextmanager
async def following(cluster: MemoryCluster) -> AsyncIterator[tuple[Follower, list[Counts]]]:
    counts, statuses = [Counts() for _ in range(PARTITIONS)], [ReaderStatus("counts", p) for p in range(PARTITIONS)]
    follower = Follower(cluster, SystemClock(), statuses, SnapshotReading(cluster, LOG_ID, dict(enumerate(counts))))
    running = asyncio.create_task(follower.run())
    try:
        yield follower, counts
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for status in statuses:
            status.close()


def pushed(cluster: MemoryCluster, partition: int, key: bytes | None = None) -> int:
    """A push; its offset."""
    draft = encode(push(plan()), partition, now_ms=1)
    return cluster.append(Draft(draft.place, draft.key if key is None else key, draft.value, draft.headers))


def broken(cluster: MemoryCluster, partition: int) -> int:
    """A record that nobody can read; its offset."""
    return cluster.append(Draft(Place(Topic.PUSHES, partition), None, b"{}", {"ce_type": b"hookline.PushReceived.v9"}))


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.log.reader_status.LOOK_S", 0.02)


async def test_it_is_current_once_it_has_read_what_was_there_and_reads_on() -> None:
    cluster = MemoryCluster(PARTITIONS)
    pushed(cluster, 0)
    async with following(cluster) as (follower, counts):
        assert not follower.current
        assert follower.progress() == "0 of 2 partitions are current; partition 0: starting; partition 1: starting"
        await until(lambda: follower.current)
        assert [sum(one.types.values()) for one in counts] == [1, 0]
        pushed(cluster, 1)
        await until(lambda: counts[1].types == {PUSHED: 1})
        assert follower.progress() == "2 of 2 partitions are current"
        assert counts[1].looks


@pytest.mark.parametrize("kind", ["unreadable", "unfoldable"])
@pytest.mark.parametrize("when", ["at the start", "later"])
async def test_a_record_that_cannot_be_taken_stops_its_partition_and_no_other_until_it_is_skipped(
    kind: str, when: str
) -> None:
    cluster = MemoryCluster(PARTITIONS)
    if when == "at the start":
        bad = broken(cluster, 0) if kind == "unreadable" else pushed(cluster, 0, FAULTY)
    async with following(cluster) as (follower, counts):
        await until(lambda: follower.current)
        if when == "later":
            bad = broken(cluster, 0) if kind == "unreadable" else pushed(cluster, 0, FAULTY)
        pushed(cluster, 0)
        pushed(cluster, 1)
        await until(lambda: follower.statuses[0].state is State.STOPPED and sum(counts[1].types.values()) == 1)
        assert f"1 of 2 partitions are current; partition 0: stopped: pushes[0]@{bad}: " in follower.progress()
        said = f'hookline_reader_stopped_offset{{partition="0",reader="counts",topic="pushes"}} {bad}.0'
        assert said in generate_latest().decode()
        assert not counts[0].types
        skip = SkipRequested(topic="pushes", offset=bad, by="ada", requested_at=1, reason="broken")
        cluster.append(encode(skip, 0, now_ms=1))
        await until(lambda: counts[0].types[PUSHED] == 1)
        await until(lambda: follower.statuses[0].state is State.CURRENT)
        assert said not in generate_latest().decode()


async def test_the_log_says_once_for_each_stop_which_reader_and_which_record() -> None:
    cluster = MemoryCluster(PARTITIONS)
    with capture_logs() as lines:
        async with following(cluster) as (follower, _):
            await until(lambda: follower.current)
            bad = [broken(cluster, partition) for partition in range(PARTITIONS)]
            await until(lambda: all(status.halt is not None for status in follower.statuses.values()))
    said = [
        (line["reader"], line["reason"].partition(": ")[0]) for line in lines if line["event"] == "partition stopped"
    ]
    assert sorted(said) == [("counts", f"pushes[{partition}]@{offset}") for partition, offset in enumerate(bad)]


async def test_where_every_partition_is_stopped_it_is_not_current() -> None:
    cluster = MemoryCluster(PARTITIONS)
    for partition in range(PARTITIONS):
        broken(cluster, partition)
    async with following(cluster) as (follower, _):
        await until(lambda: all(status.halt is not None for status in follower.statuses.values()))
        assert not follower.current


async def test_while_kafka_is_away_it_says_why_it_waits_and_goes_on_once_it_is_back() -> None:
    cluster = MemoryCluster(PARTITIONS)
    pushed(cluster, 0)
    cluster.down = True
    async with following(cluster) as (follower, counts):
        await until(lambda: follower.trouble == "no broker answers")
        assert not follower.current
        cluster.down = False
        await until(lambda: follower.current)
        assert follower.trouble is None
        cluster.down = True
        pushed(cluster, 0)
        assert follower.current, "what it knows is true as far as it has read"
        cluster.down = False
        await until(lambda: counts[0].types == {PUSHED: 2})


async def test_a_log_that_lost_what_was_read_of_it_is_read_anew_and_the_others_read_on() -> None:
    cluster = MemoryCluster(PARTITIONS)
    for partition in (0, 0, 1):
        pushed(cluster, partition)
    async with following(cluster) as (follower, counts):
        await until(lambda: follower.current)
        cluster.make_anew(Topic.PUSHES)
        pushed(cluster, 0)
        await until(lambda: [sum(one.types.values()) for one in counts] == [1, 0])
        await until(lambda: follower.current)
