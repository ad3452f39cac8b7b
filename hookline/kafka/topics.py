"""The seven topics in Kafka: making them, looking at them, and checking them before a service starts (design section 2).

What they must be is the rule in `hookline.kafka.fitness`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from hookline.chain.pipeline import LogId
from hookline.clock import Clock
from hookline.errors import TopicsUnfit
from hookline.kafka.admin import admin_of, configs_of, count_brokers, make_topics
from hookline.kafka.epoch import read_pipelines, write_log_id
from hookline.kafka.fitness import (
    BROKERS_TIMES,
    CO_PARTITIONED,
    TIMES,
    Topics,
    TopicState,
    config_of,
    fitness,
    misfits,
    narrow,
    partitions_of,
)
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.metadata import ask_topics
from hookline.log.patience import Patience
from hookline.log.records import Topic
from hookline.log.retention import QUARANTINE_BYTES, QUARANTINE_DAYS, Keep, keep_of

__all__ = ["check_topics", "create_topics", "describe", "topic_states"]


async def check_topics(cluster: KafkaCluster) -> UUID:
    """The log's id, if the topics fit. Raises TopicsUnfit in words, LogUnavailable."""
    found = await describe(cluster)
    if wrong := fitness(found, cluster.connection.name):
        raise TopicsUnfit("; ".join(wrong))
    assert found.log_id is not None, "fitness says so"
    return found.log_id


async def create_topics(
    cluster: KafkaCluster,
    *,
    partitions: int = 12,
    replication: int | None = None,
    retention_days: int = 0,
    quarantine_days: int = QUARANTINE_DAYS,
    quarantine_bytes: int = QUARANTINE_BYTES,
    clock: Clock | None = None,
    tell: Callable[[str], None] = lambda said: None,
) -> list[str]:
    """Make what is missing, and the log's id; what was done, one sentence each. Run again it does nothing, or goes on from
    where it stopped.

    tell: told each sentence as soon as it is true, and what is tried again. What gets no answer is tried again for a while (`hookline.log.patience`); only a
    Kafka that does not answer at all is said at once.
    Which topics take less than a record may have is said, too, and for an operator to mend.

    replication None: 3 on three or more brokers, else 1. retention_days: how long the four logs are kept, 0 forever; quarantine_*: how
    long and how much of quarantine, likewise.
    Of topics that are there only these are changed; where they have another partition count than `partitions`, the new
    ones follow them.
    Raises TopicsUnfit where one that is there does not fit or the cluster is too small, ConfigError for a retention that
    is too short for the pipelines, LogUnavailable.
    """
    found = await describe(cluster)
    keep = keep_of(retention_days, quarantine_days, quarantine_bytes, found.pipelines)
    if wrong := misfits(found):
        raise TopicsUnfit("; ".join(wrong))
    replication = replication or (3 if found.brokers >= 3 else 1)
    if replication > found.brokers:
        raise TopicsUnfit(
            f"HOOKLINE_REPLICATION={replication}, and there are {found.brokers} brokers: start more, or set it lower"
        )
    said: list[str] = []

    def note(*sentences: str) -> None:
        said.extend(sentences)
        for sentence in sentences:
            tell(sentence)

    patience = Patience(tell)
    there = next((found.states[t].partitions for t in CO_PARTITIONED if t in found.states), partitions)
    count = found.made_with or there
    if count != partitions:
        note(f"the topics have {count} partitions, which cannot be changed: {partitions}, as asked for, was not done")
    if missing := _missing(found):
        await patience.until(lambda: _make(cluster, missing, count, replication, keep))
        note(
            *(
                f"made {cluster.connection.name(t)}: {partitions_of(t, count)} partitions, {replication} copies"
                for t in missing
            )
        )
    note(*await patience.until(lambda: _set(cluster, found, keep)))
    if found.log_id is None or found.made_with is None:
        wanted = LogId(log_id=found.log_id or uuid4(), partitions=count)
        written = await patience.until(lambda: write_log_id(cluster, wanted, clock))
        note(
            f"wrote log_id {written.log_id}" if found.log_id is None else f"recorded that there are {count} partitions"
        )
    made_right = {t: replace(s, config={**s.config, TIMES: BROKERS_TIMES}) for t, s in found.states.items()}
    note(*narrow(made_right))
    return said


async def describe(cluster: KafkaCluster) -> Topics:
    """What there is. Raises LogUnavailable, Undecodable."""
    brokers, states = await topic_states(cluster)
    log_id, pipelines = await read_pipelines(cluster) if Topic.PIPELINES in states else (None, [])
    if log_id is None:
        return Topics(brokers, states, None, None, tuple(pipelines))
    return Topics(brokers, states, log_id.log_id, log_id.partitions, tuple(pipelines))


async def topic_states(cluster: KafkaCluster) -> tuple[int, dict[Topic, TopicState]]:
    """How many brokers there are, and the topics that are there, without what lies in them. Raises LogUnavailable."""
    name = cluster.connection.name
    async with admin_of(cluster) as admin:
        brokers = await count_brokers(admin)
        found = await ask_topics(cluster.connection, map(name, Topic))
        configs = await configs_of(admin, list(found)) if found else {}
    there = {topic: found[name(topic)] for topic in Topic if name(topic) in found}
    return brokers, {
        topic: TopicState(
            name(topic), it.partitions, it.replication, *configs[name(topic)], id=it.id, may_write=it.may_write
        )
        for topic, it in there.items()
    }


def _missing(found: Topics) -> list[Topic]:
    return [topic for topic in Topic if topic not in found.states]


async def _make(cluster: KafkaCluster, missing: Sequence[Topic], partitions: int, replication: int, keep: Keep) -> None:
    name = cluster.connection.name
    new = [
        NewTopic(name(t), partitions_of(t, partitions), replication, topic_configs=config_of(t, replication, keep))
        for t in missing
    ]
    async with admin_of(cluster) as admin:
        await make_topics(admin, new)


async def _set(cluster: KafkaCluster, found: Topics, keep: Keep) -> list[str]:
    """Give the logs and the quarantine that are there that retention, and the brokers' time; what was done, one sentence each.

    Raises TopicsUnfit, LogUnavailable.
    """
    wished = [(s, {**keep.of(t), TIMES: BROKERS_TIMES}) for t, s in found.states.items() if keep.of(t)]
    other = [(s, right) for s, right in wished if not right.items() <= s.config.items()]
    if not other:
        return []
    # AlterConfigs puts what it is given in the place of all that the topic was given before.
    wanted = [ConfigResource(ConfigResourceType.TOPIC, s.name, {**s.own, **right}) for s, right in other]
    async with admin_of(cluster) as admin:
        for answer in await admin.alter_configs(wanted):
            for code, why, _, name in answer.resources:
                if code:
                    raise TopicsUnfit(f"{name} could not be given its setting: {why or for_code(code).__name__}")
    return [
        f"{s.name}: {key} was {s.config.get(key)}, is {value} now"
        for s, right in other
        for key, value in right.items()
        if s.config.get(key) != value
    ]
