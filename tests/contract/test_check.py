"""What a service learns of the topics while it runs, on real Kafka: limits, rights, and whether they are still the same."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from hookline.broker import EmbeddedBroker
from hookline.errors import ForeignLog, TopicsUnfit
from hookline.kafka.check import LogCheck
from hookline.kafka.epoch import new_epoch, read_log_id
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.records import LOGS, MAX_RECORD_BYTES, Topic
from tests.contract.helpers import PARTITIONS, answered, kafka_with_topics
from tests.contract.operators import GUARDED, delete, give_right, make_anew, set_limit, take_right
from tests.kafka import free_broker_port


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker that goes by rights."""
    folder = tmp_path_factory.mktemp("guarded") / "kafka"
    with EmbeddedBroker(folder, free_broker_port(), say=print, properties=GUARDED) as broker:
        yield broker


def limit_of(topic: Topic) -> float | None:
    return REGISTRY.get_sample_value("hookline_topic_limit_bytes", {"topic": topic})


async def test_all_is_well_again_and_again(kafka_cluster: KafkaCluster) -> None:
    check = LogCheck(kafka_cluster, writes=tuple(Topic))
    for _ in range(2):
        state = await check()
        assert (state.log_id, state.narrow, state.denied) == (await read_log_id(kafka_cluster), (), ())


async def test_a_lowered_limit_is_said_until_it_is_raised(kafka_cluster: KafkaCluster) -> None:
    check = LogCheck(kafka_cluster)
    await set_limit(kafka_cluster, Topic.PUSHES, 50_000)
    (sentence,) = (await check()).narrow
    assert f"{kafka_cluster.connection.name(Topic.PUSHES)} has max.message.bytes=50000 and needs 4194304" in sentence
    assert (limit_of(Topic.PUSHES), limit_of(Topic.CALLBACKS)) == (50_000, MAX_RECORD_BYTES)
    await set_limit(kafka_cluster, Topic.PUSHES)
    assert (await check()).narrow == ()
    assert limit_of(Topic.PUSHES) == MAX_RECORD_BYTES


async def test_a_missing_right_is_said_until_it_is_given(guarded: EmbeddedBroker, topic_prefix: str) -> None:
    cluster = await answered(lambda: kafka_with_topics(guarded.bootstrap_servers, topic_prefix))
    check = LogCheck(cluster, writes=(Topic.PUSHES, Topic.QUARANTINE))
    for topic in (Topic.PUSHES, Topic.CALLBACKS):  # the second one is no business of this service
        await take_right(cluster, topic)
    (sentence,) = (await check()).denied
    assert "give our Kafka user the right Write on it (kafka-acls.sh --add --allow-principal User:... " in sentence
    assert f"--topic {topic_prefix}pushes" in sentence
    await give_right(cluster, Topic.PUSHES)
    assert (await check()).denied == ()


@pytest.mark.parametrize("topic", [*LOGS, Topic.PIPELINES])
async def test_a_topic_that_was_made_anew_is_not_taken_for_the_same(kafka_cluster: KafkaCluster, topic: Topic) -> None:
    check = LogCheck(kafka_cluster)
    await check()
    await make_anew(kafka_cluster, topic, PARTITIONS if topic in LOGS else 1)
    with pytest.raises(
        ForeignLog, match=f"{topic} was deleted and made anew while this process ran: start it again to read"
    ):
        await answered(check)
    await create_topics(kafka_cluster, partitions=PARTITIONS)
    await answered(LogCheck(kafka_cluster))  # that of a process that is started again


@pytest.mark.parametrize("topic", [Topic.SNAPSHOTS, Topic.QUARANTINE])
async def test_one_that_nobody_holds_in_memory_may_be_made_anew(kafka_cluster: KafkaCluster, topic: Topic) -> None:
    check = LogCheck(kafka_cluster)
    before = await check()
    await make_anew(kafka_cluster, topic, PARTITIONS if topic is Topic.SNAPSHOTS else 1)
    assert await answered(check) == before


async def test_a_topic_that_is_gone_is_named(kafka_cluster: KafkaCluster) -> None:
    check = LogCheck(kafka_cluster)
    await check()
    await delete(kafka_cluster, Topic.COMMANDS)
    with pytest.raises(TopicsUnfit, match=r"there is no topic \S*commands: run `hookline topics create`"):
        await check()


async def test_a_new_epoch_below_a_process_that_runs_is_another_log(kafka_cluster: KafkaCluster) -> None:
    check = LogCheck(kafka_cluster)
    before = (await check()).log_id
    made = await new_epoch(kafka_cluster)
    with pytest.raises(ForeignLog, match=f"the log's id was {before} when this process began and is {made} now"):
        await check()
