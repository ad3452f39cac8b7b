"""The seven topics: what they must be, making them, and checking them before a service starts (design section 2).

`fitness` is the rule, as sentences; the functions below it ask and tell Kafka.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from hookline.chain.pipeline import LOG_ID_KEY, LogId
from hookline.clock import Clock, SystemClock
from hookline.errors import LogUnavailable, TopicsUnfit
from hookline.log.cluster import Cluster
from hookline.log.codec import decode_setting, encode_setting
from hookline.log.kafka import KafkaCluster
from hookline.log.kafka_client import KAFKA_TROUBLE, abandon_admin, started
from hookline.log.records import LOGS, MAX_RECORD_BYTES, Place, Topic

__all__ = [
    "CO_PARTITIONED",
    "TopicState",
    "Topics",
    "check_topics",
    "create_topics",
    "describe",
    "fitness",
    "new_epoch",
    "read_log_id",
]

CO_PARTITIONED = (*LOGS, Topic.SNAPSHOTS)
"""Partition p of these belongs to one dispatcher worker: they have one partition count, for good."""
COMPACTED = Topic.PIPELINES
PIPELINES = Place(Topic.PIPELINES, 0)

ASK_S = 15.0
"""Seconds that Kafka may take to answer, or for new topics to get their leaders."""
READ_S = 30.0
"""Seconds without a record after which reading `pipelines` is given up."""
KEEP_FOR_GOOD = {"retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True)
class TopicState:
    """A topic as Kafka has it. config: the settings in force, as text."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class Topics:
    """What there is. A topic that is missing is absent; `log_id` None: none is written."""

    brokers: int
    states: Mapping[Topic, TopicState]
    log_id: UUID | None


def partitions_of(topic: Topic, partitions: int) -> int:
    return partitions if topic in CO_PARTITIONED else 1


def config_of(topic: Topic, replication: int) -> dict[str, str]:
    """The settings that a topic is made with."""
    config = {
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": "2" if replication >= 3 else "1",
    }
    if topic is COMPACTED:
        return config | {"cleanup.policy": "compact"}
    if topic is Topic.SNAPSHOTS:
        # What its writer deletes leaves the disk by whole segments.
        config["segment.bytes"] = str(64 * 1024 * 1024)
    return config | {"cleanup.policy": "delete", **KEEP_FOR_GOOD}


def fitness(found: Topics, name: Callable[[Topic], str]) -> list[str]:
    """What is wrong, one sentence each: which topic, what, how to mend it. Empty: the topics fit."""
    missing = [name(topic) for topic in Topic if topic not in found.states]
    wrong = [f"there is no topic {', '.join(missing)}: run `hookline topics create`"] if missing else []
    wrong += _states_wrong(found)
    if not missing and found.log_id is None:
        wrong.append(f"{name(Topic.PIPELINES)} holds no log_id: run `hookline topics create`")
    return wrong


def _states_wrong(found: Topics) -> list[str]:
    """What is wrong with the topics that are there."""
    return [
        sentence
        for topic, state in found.states.items()
        for sentence in _partitions_wrong(topic, state, found) + _config_wrong(topic, state)
    ]


def _partitions_wrong(topic: Topic, state: TopicState, found: Topics) -> list[str]:
    if topic not in CO_PARTITIONED:
        if state.partitions == 1:
            return []
        return [
            f"{state.name} has {state.partitions} partitions and must have one: delete it and run `hookline topics create`"
        ]
    first = next(found.states[t] for t in CO_PARTITIONED if t in found.states)
    if state.partitions == first.partitions:
        return []
    return [
        f"{state.name} has {state.partitions} partitions, {first.name} has {first.partitions}: the four logs and the"
        " snapshots need the same number, for good. Delete what is new and run `hookline topics create`,"
        " or put HOOKLINE_TOPIC_PREFIX to another set of topics"
    ]


def _config_wrong(topic: Topic, state: TopicState) -> list[str]:
    right = config_of(topic, state.replication)
    checked: dict[str, Callable[[str], bool]] = {
        "cleanup.policy": lambda value: value == right["cleanup.policy"],
        "max.message.bytes": lambda value: int(value) >= MAX_RECORD_BYTES,
        "min.insync.replicas": lambda value: int(value) <= state.replication,
    }
    if topic is Topic.SNAPSHOTS:  # a commit names what lies there: it may go only by its writer's hand
        checked |= dict.fromkeys(KEEP_FOR_GOOD, lambda value: value == "-1")
    return [
        f"{state.name} has {key}={state.config.get(key)} and needs {right[key]}: kafka-configs.sh --alter"
        f" --entity-type topics --entity-name {state.name} --add-config {key}={right[key]}"
        for key, fits in checked.items()
        if not fits(state.config.get(key, "0"))
    ]


async def check_topics(cluster: KafkaCluster) -> UUID:
    """The log's id, if the topics fit. Raises TopicsUnfit in words, LogUnavailable."""
    found = await describe(cluster)
    if wrong := fitness(found, cluster.connection.name):
        raise TopicsUnfit("; ".join(wrong))
    assert found.log_id is not None, "fitness says so"
    return found.log_id


async def create_topics(
    cluster: KafkaCluster, *, partitions: int = 12, replication: int | None = None, clock: Clock | None = None
) -> list[str]:
    """Make what is missing, and the log's id; what was done, one sentence each. Run again it does nothing.

    replication None: 3 on three or more brokers, else 1. Topics that are there are left alone; where they have another
    partition count than `partitions`, the new ones follow them.
    Raises TopicsUnfit where one that is there does not fit or the cluster is too small, LogUnavailable.
    """
    found = await describe(cluster)
    if wrong := fitness(Topics(found.brokers, found.states, uuid4()), cluster.connection.name)[
        len(_missing(found)) > 0 :
    ]:
        raise TopicsUnfit("; ".join(wrong))
    replication = replication or (3 if found.brokers >= 3 else 1)
    if replication > found.brokers:
        raise TopicsUnfit(
            f"HOOKLINE_REPLICATION={replication}, and there are {found.brokers} brokers: start more, or set it lower"
        )
    said = []
    count = next((found.states[t].partitions for t in CO_PARTITIONED if t in found.states), partitions)
    if count != partitions:
        said.append(f"the topics have {count} partitions, for good; {partitions} as asked for is not done")
    if missing := _missing(found):
        await _make(cluster, missing, count, replication)
        said += [
            f"made {cluster.connection.name(t)}: {partitions_of(t, count)} partitions, {replication} copies"
            for t in missing
        ]
    if found.log_id is None:
        said.append(f"wrote log_id {await new_epoch(cluster, clock)}")
    return said


async def new_epoch(cluster: Cluster, clock: Clock | None = None) -> UUID:
    """Write a new log_id: after a restore from backup it keeps old push ids from coming back. Raises AppendFailed, LogUnavailable."""
    log_id = uuid4()
    producer = await cluster.producer()
    try:
        await producer.append(encode_setting(LogId(log_id=log_id), now_ms=(clock or SystemClock()).now_ms()))
    finally:
        await producer.close()
    return log_id


async def read_log_id(cluster: Cluster) -> UUID | None:
    """The last log_id in `pipelines`, None without any. Raises Undecodable, LogUnavailable."""
    async with contextlib.AsyncExitStack() as stack:
        offsets = await cluster.offsets()
        stack.push_async_callback(offsets.close)
        consumer = await cluster.consumer()
        stack.push_async_callback(consumer.close)
        position, end = (await offsets.starts([PIPELINES]))[PIPELINES], (await offsets.ends([PIPELINES]))[PIPELINES]
        consumer.assign({PIPELINES: position})
        log_id = None
        while position < end:
            records = (await consumer.poll(READ_S)).get(PIPELINES, ())
            if not records:
                raise LogUnavailable(f"pipelines gave nothing to read from {position} to {end}")
            for raw in records:
                log_id = decode_setting(raw, LogId).log_id if raw.key == LOG_ID_KEY else log_id
                position = raw.offset + 1
        return log_id


async def describe(cluster: KafkaCluster) -> Topics:
    """What there is. Raises LogUnavailable, Undecodable."""
    name = cluster.connection.name
    async with _admin(cluster) as admin:
        listed = {found["topic"]: found["partitions"] for found in await admin.describe_topics()}
        there = {name(topic): topic for topic in Topic if name(topic) in listed}
        brokers = len((await admin.describe_cluster())["brokers"])
        configs = await _configs(admin, list(there)) if there else {}
    states = {
        topic: TopicState(text, len(listed[text]), min(len(p["replicas"]) for p in listed[text]), configs[text])
        for text, topic in there.items()
    }
    return Topics(brokers, states, await read_log_id(cluster) if Topic.PIPELINES in states else None)


def _missing(found: Topics) -> list[Topic]:
    return [topic for topic in Topic if topic not in found.states]


async def _make(cluster: KafkaCluster, missing: Sequence[Topic], partitions: int, replication: int) -> None:
    name = cluster.connection.name
    new = [
        NewTopic(name(t), partitions_of(t, partitions), replication, topic_configs=config_of(t, replication))
        for t in missing
    ]
    async with _admin(cluster) as admin:
        for text, code, why in (await admin.create_topics(new)).topic_errors:
            error = for_code(code)
            # Someone else made it meanwhile: the check before each start tells whether it fits.
            if error not in (NoError, TopicAlreadyExistsError):
                raise TopicsUnfit(f"{text} could not be made: {why or error.__name__}")
        await _led(admin, {name(topic) for topic in missing})


async def _led(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when every partition of those topics has a leader."""
    while True:
        topics = [topic for topic in await admin.describe_topics() if topic["topic"] in names]
        if len(topics) == len(names) and all(p["leader"] >= 0 for topic in topics for p in topic["partitions"]):
            return
        await asyncio.sleep(0.1)


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for code, why, _, name, entries in answer.resources:
            if code:
                raise LogUnavailable(f"{name}: its settings cannot be read: {why or for_code(code).__name__}")
            found[name] = {key: value for key, value, *_ in entries}
    return found


@contextlib.asynccontextmanager
async def _admin(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises LogUnavailable, also for what fails or hangs while it is in use."""
    admin = AIOKafkaAdminClient(**cluster.connection.options())
    await started(admin.start, lambda: abandon_admin(admin), "topics")
    try:
        async with asyncio.timeout(ASK_S):
            yield admin
    except KAFKA_TROUBLE as error:
        raise LogUnavailable(f"topics: {error!r}") from error
    finally:
        await abandon_admin(admin)
