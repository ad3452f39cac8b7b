"""What clients do where the broker that they ask first names no brokers, as one does that just started or just woke."""

from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO

import pytest
from aiokafka.protocol import metadata

from hookline.errors import LogUnavailable
from hookline.kafka import start as kafka_start
from hookline.kafka.admin import group_members
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.records import Draft, Topic
from tests.contract.helpers import HERE, PARTITIONS, Member, kafka_with_topics, members, read_log, values
from tests.integration.kafka_proxy import Api, KafkaProxy, Rewrite
from tests.kafka import free_broker_port

EMPTY = 3
"""Answers without brokers that a client gets before one with."""


def nobody(version: int, answer: bytes) -> bytes:
    """That answer to a Metadata request, with no brokers in it."""
    kind = getattr(metadata, f"MetadataResponse_v{version}")
    told = kind.decode(BytesIO(answer))
    told.brokers = []
    changed: bytes = told.encode()
    return changed


@pytest.fixture
async def proxy(kafka: str) -> AsyncIterator[KafkaProxy]:
    proxy = KafkaProxy(free_broker_port(), int(kafka.rpartition(":")[2]))
    await proxy.start()
    yield proxy
    await proxy.stop()


async def produce(cluster: KafkaCluster) -> None:
    producer = await cluster.producer()
    try:
        await producer.append(Draft(HERE, None, b"one"))
    finally:
        await producer.close()
    assert values(await read_log(cluster, HERE)) == [b"one"]


async def consume(cluster: KafkaCluster) -> None:
    consumer = await cluster.consumer()
    try:
        consumer.assign({HERE: 0})
        assert await consumer.poll(0) is not None
    finally:
        await consumer.close()


async def be_a_member(cluster: KafkaCluster) -> None:
    async with members(cluster, 1):
        pass


async def ask_for_commits(cluster: KafkaCluster) -> None:
    offsets = await cluster.offsets()
    try:
        assert await offsets.committed("g", [HERE]) == {}
    finally:
        await offsets.close()


async def administer(cluster: KafkaCluster) -> None:
    assert await group_members(cluster, "g") == []


async def count(cluster: KafkaCluster) -> None:
    assert await cluster.partitions(Topic.PUSHES) == PARTITIONS


async def join(cluster: KafkaCluster) -> None:
    await (await cluster.group("g", Member())).close()


OTHERS = (produce, consume, ask_for_commits, administer, count)


@pytest.mark.parametrize("work", [*OTHERS, be_a_member])
async def test_a_client_waits_until_a_broker_is_named(
    kafka: str, topic_prefix: str, proxy: KafkaProxy, work: Callable[[KafkaCluster], Awaitable[None]]
) -> None:
    """What needs a group's coordinator ended with a failed assertion of aiokafka's."""
    await kafka_with_topics(kafka, topic_prefix)
    empty = Rewrite(Api.METADATA, EMPTY, nobody)
    proxy.rewrite(empty)
    await work(KafkaCluster(f"127.0.0.1:{proxy.port}", topic_prefix, client_id="proxied", session_timeout_ms=3000))
    assert empty.count == EMPTY


@pytest.mark.parametrize("work", [*OTHERS, join])
async def test_where_none_is_ever_named_the_client_says_so(
    topic_prefix: str,
    proxy: KafkaProxy,
    work: Callable[[KafkaCluster], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_start, "START_S", 0.5)
    empty = Rewrite(Api.METADATA, 1_000_000, nobody)
    proxy.rewrite(empty)
    cluster = KafkaCluster(f"127.0.0.1:{proxy.port}", topic_prefix, client_id="proxied")
    with pytest.raises(LogUnavailable, match="no broker"):
        await work(cluster)
    assert empty.count > 1
