"""Rights that an operator takes away while we append: said as such, no harm to others, and all goes on once they are given back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from confluent_kafka.admin import AclOperation

from hookline.broker import EmbeddedBroker
from hookline.errors import NotAuthorised, Refused
from hookline.kafka.check import LogCheck
from hookline.log.cluster import Cluster
from hookline.log.records import Draft, Place, Topic
from hookline.log.writer import Writer
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import (
    HERE,
    PARTITIONS,
    answered,
    append,
    kafka_with_topics,
    poll_on,
    read,
    read_log,
    values,
)
from tests.contract.operators import GUARDED, give_right, take, take_right
from tests.contract.test_refusals import begun, outcome
from tests.kafka import free_broker_port

ELSEWHERE = Place(Topic.PUSHES, 1)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker that goes by rights."""
    folder = tmp_path_factory.mktemp("guarded") / "kafka"
    with EmbeddedBroker(folder, free_broker_port(), say=print, properties=GUARDED) as broker:
        yield broker


@pytest.fixture(params=["memory", "kafka"])
async def cluster(request: pytest.FixtureRequest, topic_prefix: str) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        yield MemoryCluster(PARTITIONS)
        return
    broker: EmbeddedBroker = request.getfixturevalue("guarded")
    yield await answered(lambda: kafka_with_topics(broker.bootstrap_servers, topic_prefix))


async def test_what_we_may_not_write_is_said_and_whatever_else_is_under_way_goes_on(cluster: Cluster) -> None:
    producer = await begun(cluster, HERE, ELSEWHERE)
    await take_right(cluster, HERE.topic)
    drafts = [Draft((HERE, ELSEWHERE)[n % 2], b"k", b"%d" % n) for n in range(40)]
    outcomes = await asyncio.gather(*(outcome(producer, draft) for draft in drafts))
    assert set(outcomes[0::2]) == {NotAuthorised}
    assert outcomes[1::2] == list(range(1, 21))
    assert not producer.broken
    await give_right(cluster, HERE.topic)
    await producer.append(Draft(HERE, b"k", b"given back"))
    await producer.close()
    assert values(await read_log(cluster, HERE)) == [b"first", b"given back"]


async def test_the_words_name_the_topic_and_the_right(cluster: Cluster) -> None:
    writer = Writer(cluster)
    await append(writer, HERE, b"first")
    await take_right(cluster, HERE.topic)
    with pytest.raises(NotAuthorised, match=r"write to \S*callbacks"):
        await writer.append(Draft(HERE, b"k", b"x"))
    assert writer.ready
    await writer.close()


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (AclOperation.READ, "does not let us read {name}: give our Kafka user the right Read on it"),
        (AclOperation.DESCRIBE, "does not let us see {name}: give our Kafka user the right Describe on it"),
    ],
)
async def test_what_we_may_not_read_is_no_broker_that_is_away(
    guarded: EmbeddedBroker, topic_prefix: str, operation: AclOperation, words: str
) -> None:
    """Refused, with what to do, also where the topic is hidden: then Kafka tells of no leader. Given back, all goes on."""
    cluster = await answered(lambda: kafka_with_topics(guarded.bootstrap_servers, topic_prefix))
    writer, consumer, offsets = Writer(cluster), await cluster.consumer(), await cluster.offsets()
    await append(writer, HERE, b"a")
    consumer.assign({HERE: 0})
    await read(consumer, HERE, 1)
    await take(cluster, HERE.topic, operation)
    with pytest.raises(Refused, match=words.format(name=f"{topic_prefix}callbacks")):
        await poll_on(consumer)
    if operation is AclOperation.DESCRIBE:
        with pytest.raises(Refused, match="the right Describe"):
            await offsets.ends([HERE])
        with pytest.raises(Refused, match="the right Describe"):
            await LogCheck(cluster)()
    await give_right(cluster, HERE.topic)
    await append(writer, HERE, b"b")
    async with asyncio.timeout(60):
        while True:
            try:
                assert values(await read(consumer, HERE, 1)) == [b"b"]
                break
            except Refused:  # in force a moment later
                await asyncio.sleep(0.05)
    for client in (writer, consumer, offsets):
        await client.close()
