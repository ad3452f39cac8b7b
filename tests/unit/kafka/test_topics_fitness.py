"""What the topics must be, as a rule over what was found (design section 2); over real Kafka: tests/contract."""

from dataclasses import replace
from uuid import uuid4

import pytest

from hookline.kafka.fitness import CO_PARTITIONED, Topics, TopicState, config_of, fitness, narrow, partitions_of
from hookline.log.records import LOGS, Topic


def found(replication: int = 1, partitions: int = 12) -> Topics:
    states = {
        topic: TopicState(f"x.{topic}", partitions_of(topic, partitions), replication, config_of(topic, replication))
        for topic in Topic
    }
    return Topics(replication, states, uuid4())


def changed(topics: Topics, topic: Topic, **config: str) -> Topics:
    state = topics.states[topic]
    key_values = {key.replace("_", "."): value for key, value in config.items()}
    return replace(topics, states={**topics.states, topic: replace(state, config={**state.config, **key_values})})


def sentences(topics: Topics) -> list[str]:
    return fitness(topics, lambda topic: f"x.{topic}")


@pytest.mark.parametrize("replication", [1, 2, 3])
def test_topics_fit_as_they_are_made(replication: int) -> None:
    assert sentences(found(replication)) == []


def test_three_copies_need_two_in_sync() -> None:
    assert {config_of(topic, 3)["min.insync.replicas"] for topic in Topic} == {"2"}
    assert {config_of(topic, 2)["min.insync.replicas"] for topic in Topic} == {"1"}


@pytest.mark.parametrize(
    ("replication", "minimum", "fits"),
    [
        (1, 0, False),
        (1, 1, True),
        (1, 2, False),
        (2, 0, False),
        (2, 1, True),
        (2, 2, True),
        (2, 3, False),
        (3, 1, False),
        (3, 2, True),
        (3, 3, True),
        (3, 4, False),
        (5, 1, False),
        (5, 2, True),
    ],
)
@pytest.mark.parametrize("topic", Topic)
def test_an_ack_is_of_two_brokers_where_there_are_three_copies(
    topic: Topic, replication: int, minimum: int, fits: bool
) -> None:
    """Fewer, and what was acked may be lost with one broker; more, and nothing is ever acked."""
    wrong = sentences(changed(found(replication), topic, min_insync_replicas=str(minimum)))
    right = 2 if replication >= 3 else 1
    assert (wrong == []) is fits
    if not fits:
        assert f"x.{topic} has min.insync.replicas={minimum} and needs {right}: kafka-configs.sh --alter" in wrong[0]


@pytest.mark.parametrize("topic", CO_PARTITIONED)
def test_another_number_of_partitions_than_the_log_was_made_with_is_named(topic: Topic) -> None:
    made = replace(found(), made_with=12)
    assert sentences(made) == []
    state = made.states[topic]
    (wrong,) = sentences(replace(made, states={**made.states, topic: replace(state, partitions=24)}))
    assert wrong.startswith(f"x.{topic} has 24 partitions, and this log was made with 12, which cannot change")
    assert len(sentences(replace(made, made_with=6))) == len(CO_PARTITIONED), (
        "all of them, where all were changed alike"
    )


@pytest.mark.parametrize("topic", Topic)
def test_a_log_by_its_producers_time_is_said(topic: Topic) -> None:
    said = narrow(changed(found(), topic, message_timestamp_type="CreateTime").states)
    assert len(said) == (topic in LOGS)
    assert all("message.timestamp.type=CreateTime and needs LogAppendTime" in line for line in said)


def test_the_four_logs_and_the_snapshots_are_co_partitioned() -> None:
    assert set(CO_PARTITIONED) == {*LOGS, Topic.SNAPSHOTS}
    assert {partitions_of(topic, 7) for topic in Topic if topic not in CO_PARTITIONED} == {1}


def test_all_that_is_missing_is_one_sentence() -> None:
    assert sentences(Topics(1, {}, None)) == [
        "there is no topic x.pushes, x.callbacks, x.commands, x.deliveries, x.pipelines, x.snapshots, x.quarantine:"
        " run `hookline topics create`"
    ]


def test_a_sentence_says_how_to_mend_it() -> None:
    (said,) = sentences(changed(found(), Topic.DELIVERIES, cleanup_policy="compact"))
    assert said == (
        "x.deliveries has cleanup.policy=compact and needs delete: kafka-configs.sh --alter --entity-type topics"
        " --entity-name x.deliveries --add-config cleanup.policy=delete"
    )


def test_all_that_is_wrong_is_said_at_once() -> None:
    topics = changed(
        changed(found(), Topic.PUSHES, cleanup_policy="compact"), Topic.PIPELINES, cleanup_policy="compact,delete"
    )
    assert len(sentences(replace(topics, log_id=None))) == 3


def test_the_co_partitioned_have_one_number_of_partitions() -> None:
    topics = found()
    other = {**topics.states, Topic.SNAPSHOTS: replace(topics.states[Topic.SNAPSHOTS], partitions=6)}
    (said,) = sentences(replace(topics, states=other))
    assert said.startswith("x.snapshots has 6 partitions, x.pushes has 12: ")


def test_logs_may_be_given_a_retention_and_snapshots_may_not() -> None:
    """An operator may bound the history; a snapshot that a commit names must be there."""
    assert sentences(changed(found(), Topic.PUSHES, retention_ms="1000")) == []
    assert len(sentences(changed(found(), Topic.SNAPSHOTS, retention_bytes="1000"))) == 1


def test_more_in_sync_than_there_are_copies_can_never_be_acked() -> None:
    (said,) = sentences(changed(found(1), Topic.CALLBACKS, min_insync_replicas="2"))
    assert "callbacks has min.insync.replicas=2 and needs 1" in said


def test_a_limit_below_what_a_record_may_have_is_said_and_keeps_no_service_from_starting() -> None:
    """Nearly every record is far smaller. `create_topics` refuses it (tests/contract)."""
    topics = changed(changed(found(), Topic.PUSHES, max_message_bytes="50000"), Topic.QUARANTINE, max_message_bytes="1")
    assert sentences(topics) == []
    first, second = narrow(topics.states)
    assert first == (
        "x.pushes has max.message.bytes=50000 and needs 4194304, a larger record is refused: kafka-configs.sh --alter"
        " --entity-type topics --entity-name x.pushes --add-config max.message.bytes=4194304"
    )
    assert second.startswith("x.quarantine has max.message.bytes=1 ")
    assert narrow(found().states) == []
