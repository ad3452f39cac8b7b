"""The writer: a producer that is replaced when it breaks."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hookline.errors import AppendFailed
from hookline.log.cluster import Cluster
from hookline.log.records import MAX_RECORD_BYTES, Draft, Place, Topic
from hookline.log.writer import Writer
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import HERE, PARTITIONS, append, read_log
from tests.kit.waiting import until

NOWHERE = Place(Topic.CALLBACKS, 99)


@pytest.fixture
async def writer(cluster: Cluster) -> AsyncIterator[Writer]:
    writer = Writer(cluster)
    yield writer
    await writer.close()


async def test_whatever_fails_the_next_append_works(cluster: Cluster, writer: Writer) -> None:
    offsets = await append(writer, HERE, *(str(n).encode() for n in range(100)))
    log = await read_log(cluster, HERE)
    assert [log[offset].value for offset in offsets] == [str(n).encode() for n in range(100)]
    assert offsets == sorted(set(offsets))


async def test_a_broken_producer_is_replaced(cluster: Cluster, writer: Writer) -> None:
    with pytest.raises(AppendFailed):
        await writer.append(Draft(NOWHERE, None, b"x"))
    await until(lambda: writer.ready)  # by itself, with no further append
    (offset,) = await append(writer, HERE, b"after")
    assert (await read_log(cluster, HERE))[offset].value == b"after"
    assert writer.ready


async def test_it_gets_ready_by_itself_once_started(writer: Writer) -> None:
    assert not writer.ready
    writer.start()
    await until(lambda: writer.ready)


async def test_a_closed_writer_appends_nothing(cluster: Cluster) -> None:
    for used in (False, True):
        writer = Writer(cluster)
        if used:
            await append(writer, HERE, b"x")
        await writer.close()
        assert not writer.ready
        with pytest.raises(AppendFailed, match="closed"):
            await writer.append(Draft(HERE, None, b"x"))
        await writer.close()


async def test_while_no_broker_answers_appends_fail_at_once_and_later_work_again() -> None:
    cluster = MemoryCluster(PARTITIONS)
    writer = Writer(cluster)
    cluster.down = True
    for _ in range(1000):  # were one of them to wait, this would take its time, and pytest's timeout
        with pytest.raises(AppendFailed, match="not sent"):
            await writer.append(Draft(HERE, None, b"x"))
    cluster.down = False
    await until(lambda: writer.ready)
    assert await writer.append(Draft(HERE, None, b"x")) == 0
    cluster.down = True
    with pytest.raises(AppendFailed):
        await writer.append(Draft(HERE, None, b"x"))
    assert not writer.ready
    await writer.close()


async def test_what_waits_for_acks_is_bounded() -> None:
    """Memory with Kafka away, however many ask."""

    class Stuck(MemoryCluster):
        async def producer(self):  # type: ignore[no-untyped-def]
            await asyncio.Event().wait()

    writer = Writer(Stuck(PARTITIONS))
    value = b"x" * MAX_RECORD_BYTES
    waiting = [asyncio.create_task(writer.append(Draft(HERE, None, value))) for _ in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(AppendFailed, match="wait for Kafka"):
        await writer.append(Draft(HERE, None, value))
    await writer.close()
    assert all(isinstance(error, AppendFailed) for error in await asyncio.gather(*waiting, return_exceptions=True))
    with pytest.raises(AppendFailed, match="closed"):
        await writer.append(Draft(HERE, None, value))
