"""What a disk or an operator takes from a log, over both clusters: a damaged batch, and an older copy put back.

An error of one place is that place's, and a position that is not in the log any more is never "reached".
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hookline.broker import EmbeddedBroker
from hookline.errors import LogTruncated, LogUnavailable, OffsetOutOfRange
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster, Consumer
from hookline.log.records import DamagedBatch, Place, RawRecord
from hookline.log.scan import scan
from hookline.log.writer import Writer
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import (
    HERE,
    PARTITIONS,
    THERE,
    answered,
    append,
    kafka_with_topics,
    poll_on,
    read,
    read_each,
    values,
)
from tests.kafka import make_broker
from tests.kit.waiting import until
from tests.segments import batches, flip_last_byte

pytestmark = pytest.mark.timeout(120)


class Loss:
    """A cluster whose logs lose things. `server` None: in memory."""

    def __init__(self, cluster: Cluster, server: EmbeddedBroker | None, folder: Path) -> None:
        self.cluster = cluster
        self._server = server
        self._data, self._kept = folder / "kafka", folder / "kept"
        self._ends: dict[Place, int] = {}

    async def damage(self, place: Place, first: int, until: int) -> None:
        """Change a byte of the batch that has these offsets."""
        if isinstance(self.cluster, MemoryCluster):
            self.cluster.damage(place, first, until)
            return
        assert self._server is not None
        await asyncio.to_thread(self._server.stop)
        flip(segment_of(self._data, self.cluster, place), first)
        await self._start()

    async def keep(self) -> None:
        """A copy of what there is, to be put back."""
        if isinstance(self.cluster, MemoryCluster):
            self._ends = {place: self.cluster.end(place) for place in (HERE, THERE)}
            return
        assert self._server is not None
        await asyncio.to_thread(self._server.stop)
        shutil.copytree(self._data, self._kept)
        await self._start()

    async def put_back(self) -> None:
        if isinstance(self.cluster, MemoryCluster):
            for place, end in self._ends.items():
                self.cluster.truncate(place, end)
            return
        assert self._server is not None
        self._server.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._kept, self._data)
        await self._start()

    async def _start(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.start)
        await answered(lambda: self.cluster.partitions(HERE.topic))


def segment_of(data: Path, cluster: Cluster, place: Place) -> Path:
    assert isinstance(cluster, KafkaCluster)
    tp = cluster.connection.of(place)
    (found,) = data.rglob(f"{tp.topic}-{tp.partition}/*.log")
    return found


def flip(segment: Path, first: int) -> None:
    """Change the last byte of the batch that begins at that offset."""
    (batch,) = (batch for batch in batches(segment.read_bytes()) if batch.first == first)
    flip_last_byte(segment, batch)


@pytest.fixture(params=["memory", "kafka"])
async def loss(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Loss]:
    if request.param == "memory":
        yield Loss(MemoryCluster(PARTITIONS), None, tmp_path)
        return
    with make_broker(tmp_path / "kafka") as server:
        made = await answered(lambda: kafka_with_topics(server.bootstrap_servers, "loss."))
        yield Loss(made, server, tmp_path)


@asynccontextmanager
async def clients(cluster: Cluster) -> AsyncIterator[tuple[Writer, Consumer]]:
    writer, consumer = Writer(cluster), await answered(cluster.consumer)
    yield writer, consumer
    await consumer.close()
    await writer.close()


async def next_error(consumer: Consumer, seen: dict[Place, list[RawRecord]]) -> OffsetOutOfRange:
    """Poll until it raises; what came before that is in `seen`."""
    async with asyncio.timeout(60):
        while True:
            try:
                for place, records in (await consumer.poll(0.2)).items():
                    seen.setdefault(place, []).extend(records)
            except OffsetOutOfRange as error:
                return error


async def test_a_damaged_batch_is_named_and_everything_else_is_read(loss: Loss) -> None:
    async with clients(loss.cluster) as (writer, _):
        offsets = await append(writer, HERE, b"a", b"b", b"c")
        await append(writer, THERE, b"x")
    await loss.damage(HERE, offsets[1], offsets[1] + 1)
    async with clients(loss.cluster) as (writer, consumer):
        await append(writer, HERE, b"d")
        consumer.assign({HERE: 0, THERE: 0})
        records = await read(consumer, HERE, 4)
        assert values(records) == [b"a", None, b"c", b"d"]
        damage = records[1]
        assert isinstance(damage, DamagedBatch)
        assert (damage.offset, damage.until) == (offsets[1], offsets[1] + 1)
        assert "hookline log skip callbacks[1]@1" in damage.said
        await append(writer, THERE, b"y")
        consumer.assign({THERE: 0})
        assert values(await read(consumer, THERE, 2)) == [b"x", b"y"]
    assert values([raw async for raw in scan(loss.cluster, HERE)]) == [b"a", None, b"c", b"d"]


async def test_a_damaged_batch_at_the_end_of_a_log_is_named_before_anything_follows(loss: Loss) -> None:
    async with clients(loss.cluster) as (writer, _):
        offsets = await append(writer, HERE, b"a", b"b")
    await loss.damage(HERE, offsets[1], offsets[1] + 1)
    async with clients(loss.cluster) as (writer, consumer):
        consumer.assign({HERE: 0})
        assert values(await read(consumer, HERE, 2)) == [b"a", None]
        await append(writer, HERE, b"c")
        assert values(await read(consumer, HERE, 1)) == [b"c"]


async def test_a_log_that_lost_records_is_not_read_on_and_all_others_are(loss: Loss) -> None:
    async with clients(loss.cluster) as (writer, consumer):
        await append(writer, HERE, b"a")
        await append(writer, THERE, b"x")
        consumer.assign({HERE: 0, THERE: 0})
        await read(consumer, HERE, 1)
        await loss.keep()
        await append(writer, HERE, b"b", b"c")
        seen: dict[Place, list[RawRecord]] = {}
        while len(seen.get(HERE, ())) < 2:
            for place, records in (await consumer.poll(0.2)).items():
                seen.setdefault(place, []).extend(records)
        await loss.put_back()
        error = await next_error(consumer, seen)
        assert (error.topic, error.partition) == HERE
        assert len(seen[HERE]) == 2, "nothing of the other log is delivered as if it went on"
        await append(writer, THERE, b"y")
        assert values(await read(consumer, THERE, 1))[-1:] == [b"y"]
        consumer.seek(HERE, 0)
        await append(writer, HERE, b"new")
        assert values(await read(consumer, HERE, 2)) == [b"a", b"new"]


async def test_a_log_that_has_grown_past_the_position_with_other_records_is_not_read_on(loss: Loss) -> None:
    """The offsets are there, and under the same leader epochs: what lies at them is not what was read."""
    async with clients(loss.cluster) as (writer, consumer):
        await append(writer, HERE, b"a")
        await loss.keep()
        await append(writer, HERE, b"b", b"c")
        consumer.assign({HERE: 0})
        await read(consumer, HERE, 3)
        consumer.pause(HERE)
        await loss.put_back()
        await append(writer, HERE, b"B", b"C", b"D", b"E")
        await until(lambda: not consumer.in_doubt(THERE))
        consumer.resume(HERE)
        assert consumer.in_doubt(HERE)
        seen: dict[Place, list[RawRecord]] = {}
        assert isinstance(await next_error(consumer, seen), LogTruncated)
        assert HERE not in seen


async def test_another_consumer_that_goes_on_there_meets_the_records_again_or_is_told(loss: Loss) -> None:
    """A service that lost its connections makes new ones, and keeps what it knows."""
    async with clients(loss.cluster) as (writer, consumer):
        await append(writer, HERE, b"a")
        await append(writer, THERE, b"x")
        await loss.keep()
        await append(writer, HERE, b"b", b"c")
        consumer.assign({HERE: 0, THERE: 0})
        await read_each(consumer, {HERE: 3, THERE: 1})
    await loss.put_back()
    async with clients(loss.cluster) as (writer, consumer):
        await append(writer, HERE, b"B", b"C", b"D", b"E")
        await append(writer, THERE, b"y")
        consumer.assign({HERE: 3, THERE: 1})
        seen: dict[Place, list[RawRecord]] = {}
        assert isinstance(await next_error(consumer, seen), LogTruncated)
        assert HERE not in seen
        consumer.assign({HERE: 3, THERE: 1})  # who goes on all the same was told
        assert values(await read(consumer, HERE, 1))[0] == b"D"


async def test_the_fallback_stops_before_a_damaged_batch_and_passes_over_nothing(tmp_path: Path) -> None:
    """It has no name for one: aiokafka says that there is one, and no more."""
    with make_broker(tmp_path / "kafka") as server:
        cluster = await answered(lambda: kafka_with_topics(server.bootstrap_servers, "loss.", fetcher="aiokafka"))
        async with clients(cluster) as (writer, _):
            offsets = await append(writer, HERE, b"a", b"b", b"c")
        await Loss(cluster, server, tmp_path).damage(HERE, offsets[1], offsets[1] + 1)
        async with clients(cluster) as (_, consumer):
            consumer.assign({HERE: offsets[1]})
            with pytest.raises(LogUnavailable, match="CorruptRecord"):
                await poll_on(consumer)
            consumer.assign({HERE: offsets[2]})
            assert values(await read(consumer, HERE, 1)) == [b"c"]
