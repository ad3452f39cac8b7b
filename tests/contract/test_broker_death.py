"""Brokers that die, freeze and come back: nothing hangs, nothing acked is lost, everything goes on by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import psutil
import pytest

from hookline.broker import EmbeddedBroker
from hookline.errors import AppendFailed, CommitRefused, LogUnavailable
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Commit
from hookline.log.records import LOGS, Draft, Place, RawRecord
from hookline.log.writer import Writer
from tests.contract.helpers import HERE, Member, answered, append, kafka_with_topics, read, shared_out, values
from tests.kafka import freeze, make_broker, thaw
from tests.kit.waiting import until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with make_broker(tmp_path_factory.mktemp("mortal") / "kafka") as broker:
        yield broker
        thaw(broker)


@pytest.fixture
async def own_broker(mortal: EmbeddedBroker) -> EmbeddedBroker:
    """One for all tests here, alive again."""
    await revive(mortal)
    return mortal


@pytest.fixture
async def cluster(own_broker: EmbeddedBroker, topic_prefix: str) -> KafkaCluster:
    # It listens a moment before it knows itself for a broker.
    return await answered(lambda: kafka_with_topics(own_broker.bootstrap_servers, topic_prefix))


@pytest.fixture
async def closing() -> AsyncIterator[contextlib.AsyncExitStack]:
    async with contextlib.AsyncExitStack() as stack:
        yield stack


def kill(broker: EmbeddedBroker) -> None:
    broker.kill()


async def revive(broker: EmbeddedBroker) -> None:
    thaw(broker)
    if not broker.is_alive():
        await asyncio.to_thread(broker.start)


def connections(broker: EmbeddedBroker) -> set[int]:
    """Our own ports of those to that broker."""
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    return {c.laddr.port for c in psutil.Process().net_connections("tcp") if c.raddr and c.raddr.port == port}


GONE = pytest.mark.parametrize("leave", [kill, freeze])


@contextlib.asynccontextmanager
async def running(*works: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:  # what fails in one of them fails the test at once
        tasks = [group.create_task(work()) for work in works]
        yield
        for task in tasks:
            task.cancel()


@GONE
async def test_all_goes_on_by_itself_when_the_broker_is_back(
    own_broker: EmbeddedBroker,
    cluster: KafkaCluster,
    closing: contextlib.AsyncExitStack,
    leave: Callable[[EmbeddedBroker], None],
) -> None:
    writer, consumer, offsets, member = Writer(cluster), await cluster.consumer(), await cluster.offsets(), Member()
    await member.join(cluster)
    for client in (writer, consumer, offsets, member):
        closing.push_async_callback(client.close)
    consumer.assign({HERE: 0})
    acked: dict[int, int] = {}
    seen: list[RawRecord] = []
    failed = unanswered = refused = 0

    async def write() -> None:
        nonlocal failed
        for n in range(1_000_000):
            try:
                acked[n] = await writer.append(Draft(HERE, None, str(n).encode()))
            except AppendFailed:
                failed += 1
            await asyncio.sleep(0.01)

    async def look() -> None:
        nonlocal unanswered
        while True:
            try:
                before = len(acked)
                assert (await offsets.ends([HERE]))[HERE] >= before
            except LogUnavailable:
                unanswered += 1
            await asyncio.sleep(0.05)

    async def follow() -> None:
        while True:
            seen.extend((await consumer.poll(0.5)).get(HERE, ()))

    async def commit() -> None:
        nonlocal refused
        while True:
            if member.partitions:
                try:
                    await member.group.commit({Place(topic, 0): Commit(1, "") for topic in LOGS})
                except CommitRefused:
                    refused += 1
                    await member.group.leave()
            await asyncio.sleep(0.2)

    async with running(write, look, follow, commit):
        await until(lambda: len(acked) > 20 and len(seen) > 20 and bool(member.partitions))
        leave(own_broker)
        await until(lambda: failed > 0 and unanswered > 0 and refused > 0)
        had = len(acked)
        await revive(own_broker)
        await until(lambda: len(acked) > had + 20 and shared_out([member]))
        await until(lambda: seen[-1].offset >= max(acked.values()))
    end = (await answered(lambda: offsets.ends([HERE])))[HERE]
    while seen[-1].offset + 1 < end:
        seen += await read(consumer, HERE, 1)
    assert [record.offset for record in seen] == list(range(end)), "read once each, in order"
    assert all(seen[offset].value == str(n).encode() for n, offset in acked.items()), "nothing acked is lost"
    assert len(set(values(seen))) == len(seen), "nothing is there twice"


@GONE
async def test_an_append_fails_within_its_deadline(
    own_broker: EmbeddedBroker, cluster: KafkaCluster, leave: Callable[[EmbeddedBroker], None]
) -> None:
    """So that ingress can answer 503 within 5 s; and then at once."""
    writer = Writer(cluster)
    await append(writer, HERE, b"before")
    leave(own_broker)
    async with asyncio.timeout(5):
        with pytest.raises(AppendFailed):
            await writer.append(Draft(HERE, None, b"x"))
    await until(lambda: not writer.ready)
    for _ in range(20):
        with pytest.raises(AppendFailed):
            await writer.append(Draft(HERE, None, b"x"))
    await writer.close()
    thaw(own_broker)


@GONE
async def test_closing_while_it_is_gone_neither_hangs_nor_leaves_anything(
    own_broker: EmbeddedBroker, cluster: KafkaCluster, leave: Callable[[EmbeddedBroker], None]
) -> None:
    before, connected = asyncio.all_tasks(), connections(own_broker)
    producer, consumer, offsets, member = (
        await cluster.producer(),
        await cluster.consumer(),
        await cluster.offsets(),
        Member(),
    )
    await member.join(cluster)
    await until(lambda: shared_out([member]))
    consumer.assign({HERE: 0})
    await producer.append(Draft(HERE, None, b"before"))
    await read(consumer, HERE, 1)
    leave(own_broker)
    sends = [asyncio.create_task(producer.append(Draft(HERE, None, b"x"))) for _ in range(5)]
    polls = asyncio.create_task(consumer.poll(60))
    ends = asyncio.create_task(offsets.ends([HERE]))
    await asyncio.sleep(0.3)  # let them get under way
    for client in (producer, consumer, offsets, member):
        async with asyncio.timeout(10):
            await client.close()
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(result) for result in results] == [AppendFailed] * 5
    await asyncio.wait({polls, ends})
    ends.exception()
    polls.exception()
    await until(lambda: asyncio.all_tasks() <= before | {polls, ends})
    assert connections(own_broker) <= connected
    thaw(own_broker)


@GONE
async def test_what_is_begun_while_it_is_gone_says_so_soon(
    own_broker: EmbeddedBroker, cluster: KafkaCluster, leave: Callable[[EmbeddedBroker], None]
) -> None:
    leave(own_broker)
    for begin in (cluster.producer, cluster.consumer, cluster.offsets, lambda: cluster.group("g", Member())):
        async with asyncio.timeout(10):
            with pytest.raises(LogUnavailable):
                await begin()
    await revive(own_broker)
    for begin in (cluster.producer, cluster.consumer, cluster.offsets):
        await (await answered(begin)).close()
