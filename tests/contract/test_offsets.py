"""First offsets, ends, commits of a group that is not ours, deletion."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hookline.errors import TopicsUnfit
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.records import LOGS, Place, Topic
from hookline.log.writer import Writer
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import HERE, PARTITIONS, THERE, answered, append, is_faulty, read_log, values

EMPTY = Place(Topic.DELIVERIES, 3)


@pytest.fixture
async def offsets(cluster: Cluster) -> AsyncIterator[Offsets]:
    offsets = await answered(cluster.offsets)
    yield offsets
    await offsets.close()


@pytest.fixture
async def writer(cluster: Cluster) -> AsyncIterator[Writer]:
    writer = Writer(cluster)
    yield writer
    await writer.close()


async def test_an_end_is_behind_everything_that_was_acked_before_it_was_asked(
    cluster: Cluster, offsets: Offsets, writer: Writer
) -> None:
    for n in range(10):
        (offset,) = await append(writer, HERE, str(n).encode())
        end = (await answered(lambda: offsets.ends([HERE, THERE, EMPTY])))[HERE]
        assert end > offset
        assert is_faulty(cluster) or end == offset + 1


async def test_places_without_a_record_begin_and_end_at_0(offsets: Offsets) -> None:
    wanted = [EMPTY, Place(Topic.SNAPSHOTS, 0), Place(Topic.QUARANTINE, 0)]
    assert await answered(lambda: offsets.ends(wanted)) == dict.fromkeys(wanted, 0)
    assert await answered(lambda: offsets.starts(wanted)) == dict.fromkeys(wanted, 0)


async def test_deletion_moves_the_start_and_keeps_the_rest(cluster: Cluster, offsets: Offsets, writer: Writer) -> None:
    place = Place(Topic.SNAPSHOTS, 1)
    written = await append(writer, place, b"a", b"b", b"c", b"d")
    await answered(lambda: offsets.delete_below(place, written[2]))
    assert (await answered(lambda: offsets.starts([place])))[place] == written[2]
    assert values(await read_log(cluster, place))[0] == b"c"
    await answered(lambda: offsets.delete_below(place, written[1]))  # already gone
    assert (await answered(lambda: offsets.starts([place])))[place] == written[2]
    (more,) = await append(writer, place, b"e")
    assert more > written[-1], "offsets go on"


async def test_a_group_that_never_committed_has_no_commits(offsets: Offsets) -> None:
    assert await answered(lambda: offsets.committed("nobody", [Place(topic, 0) for topic in LOGS])) == {}


async def test_partitions_are_counted(cluster: Cluster) -> None:
    assert {topic: await answered(lambda t=topic: cluster.partitions(t)) for topic in Topic} == {
        topic: 1 if topic in (Topic.PIPELINES, Topic.QUARANTINE) else PARTITIONS for topic in Topic
    }


async def test_a_topic_that_is_missing_is_unfit(kafka: str, topic_prefix: str) -> None:
    with pytest.raises(TopicsUnfit, match=rf"{topic_prefix}pushes.*topics create"):
        await KafkaCluster(kafka, topic_prefix, client_id="t").partitions(Topic.PUSHES)


async def test_shared_ends_stood_after_each_question(cluster: Cluster, offsets: Offsets, writer: Writer) -> None:
    """Design section 2: one ListOffsets for all requests under way, and none is answered from before its question."""
    ends = SharedEnds(offsets, [HERE, THERE])

    async def append_and_ask(n: int) -> None:
        place = (HERE, THERE)[n % 2]
        (offset,) = await append(writer, place, str(n).encode())
        assert (await answered(ends.now))[place] > offset

    await asyncio.gather(*(append_and_ask(n) for n in range(40)))


async def test_shared_ends_of_a_cluster_that_comes_back() -> None:
    cluster = MemoryCluster(PARTITIONS)
    ends = SharedEnds(await cluster.offsets(), [HERE])
    cluster.down = True
    assert [
        type(error).__name__ for error in await asyncio.gather(*(ends.now() for _ in range(3)), return_exceptions=True)
    ] == ["LogUnavailable"] * 3
    cluster.down = False
    assert await ends.now() == {HERE: 0}
