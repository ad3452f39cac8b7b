"""Reading: from where it is told, what it is told, in order."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hookline.errors import LogUnavailable, OffsetOutOfRange
from hookline.log.cluster import Cluster, Consumer
from hookline.log.records import Place, Topic
from hookline.log.writer import Writer
from tests.contract.conftest import KINDS_AND_FALLBACK
from tests.contract.helpers import HERE, PARTITIONS, THERE, answered, append, is_faulty, poll_on, read, values
from tests.contract.operators import make_anew

pytestmark = pytest.mark.parametrize("cluster", KINDS_AND_FALLBACK, indirect=True)


@pytest.fixture
async def writer(cluster: Cluster) -> AsyncIterator[Writer]:
    writer = Writer(cluster)
    yield writer
    await writer.close()


@pytest.fixture
async def consumer(cluster: Cluster) -> AsyncIterator[Consumer]:
    consumer = await cluster.consumer()
    yield consumer
    await consumer.close()


async def test_it_reads_each_place_from_its_position(cluster: Cluster, writer: Writer, consumer: Consumer) -> None:
    here, there = await append(writer, HERE, b"a", b"b", b"c"), await append(writer, THERE, b"d", b"e")
    consumer.assign({HERE: here[1], THERE: there[1]})
    got: dict[Place, list[bytes | None]] = {HERE: [], THERE: []}
    while not (got[HERE] and got[HERE][-1] == b"c" and got[THERE]):
        for place, records in (await consumer.poll(0.2)).items():
            got[place] += values(list(records))
    if not is_faulty(cluster):
        assert got == {HERE: [b"b", b"c"], THERE: [b"e"]}
    assert (got[HERE][0], got[THERE][0]) == (b"b", b"e")


async def test_what_is_appended_later_comes_too(writer: Writer, consumer: Consumer) -> None:
    consumer.assign({HERE: 0})
    assert await consumer.poll(0.05) == {}
    for value in (b"a", b"b"):
        (offset,) = await append(writer, HERE, value)
        while (await read(consumer, HERE, 1))[-1].offset < offset:
            pass


async def test_seek_goes_back_and_forth(writer: Writer, consumer: Consumer) -> None:
    offsets = await append(writer, HERE, *(str(n).encode() for n in range(10)))
    consumer.assign({HERE: 0})
    await read(consumer, HERE, 5)
    for n in (2, 8, 0):
        consumer.seek(HERE, offsets[n])
        assert (await read(consumer, HERE, 1))[0].value == str(n).encode()


async def test_a_seek_drops_what_was_fetched(writer: Writer, consumer: Consumer) -> None:
    offsets = await append(writer, HERE, *(str(n).encode() for n in range(10)))
    consumer.assign({HERE: 0, THERE: 0})
    await append(writer, THERE, b"x")
    await read(consumer, THERE, 1)  # HERE is fetched by now, or will be
    consumer.seek(HERE, offsets[7])
    assert (await read(consumer, HERE, 1))[0].offset == offsets[7]


async def test_a_paused_place_is_not_read_and_goes_on_where_it_was(writer: Writer, consumer: Consumer) -> None:
    offsets = await append(writer, HERE, *(str(n).encode() for n in range(6)))
    consumer.assign({HERE: 0, THERE: 0})
    last = (await read(consumer, HERE, 2))[-1].offset
    consumer.pause(HERE)
    await append(writer, HERE, b"meanwhile")
    (there,) = await append(writer, THERE, b"x")
    seen: list[int] = []
    while not seen or seen[-1] < there:
        fetched = await consumer.poll(0.2)
        assert HERE not in fetched
        seen += [record.offset for record in fetched.get(THERE, ())]
    consumer.resume(HERE)
    assert (await read(consumer, HERE, 1))[0].offset == last + 1
    assert last < offsets[-1] + 2


async def test_assign_replaces_what_was_assigned(writer: Writer, consumer: Consumer) -> None:
    await append(writer, HERE, b"a")
    await append(writer, THERE, b"b")
    consumer.assign({HERE: 0})
    await read(consumer, HERE, 1)
    consumer.assign({THERE: 0})
    await append(writer, HERE, b"more")
    fetched = {}
    while not fetched:
        fetched = await consumer.poll(0.2)
    assert list(fetched) == [THERE]


async def test_places_that_are_not_assigned_may_be_named(consumer: Consumer) -> None:
    """The group may just have taken them away."""
    consumer.assign({HERE: 0})
    for place in (THERE, Place(Topic.DELIVERIES, 0)):
        consumer.seek(place, 3)
        consumer.pause(place)
        consumer.resume(place)
    assert await consumer.poll(0.05) == {}


async def test_nothing_is_skipped_silently(cluster: Cluster, writer: Writer, consumer: Consumer) -> None:
    """An offset that is gone, or not there yet, is an error, and no reason to begin elsewhere."""
    offsets = await answered(cluster.offsets)
    last = (await append(writer, HERE, b"a", b"b", b"c"))[-1]
    await answered(lambda: offsets.delete_below(HERE, last))
    await offsets.close()
    for position in (last - 1, last + 1000):
        consumer.assign({HERE: position})
        with pytest.raises(OffsetOutOfRange, match="callbacks"):
            await poll_on(consumer)
    consumer.assign({HERE: last})
    assert (await read(consumer, HERE, 1))[0].value == b"c"


async def test_a_topic_that_was_made_anew_is_not_read_on(cluster: Cluster, writer: Writer, consumer: Consumer) -> None:
    """It holds other records under the same offsets."""
    await append(writer, HERE, b"a", b"b", b"c")
    consumer.assign({HERE: 0})
    await read(consumer, HERE, 3)
    await make_anew(cluster, HERE.topic, PARTITIONS)
    with pytest.raises(OffsetOutOfRange, match="callbacks"):
        await poll_on(consumer)


async def test_a_closed_consumer_reads_nothing(consumer: Consumer) -> None:
    consumer.assign({HERE: 0})
    await consumer.close()
    with pytest.raises(LogUnavailable):
        await consumer.poll(0.05)


async def test_polls_without_time_to_wait_let_others_run(consumer: Consumer) -> None:
    """Else a loop of them holds up everything else in its process, heartbeats too."""
    consumer.assign({HERE: 0})
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    for _ in range(10):
        await consumer.poll(0)
    running.cancel()
    assert turns >= 10
