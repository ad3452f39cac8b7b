"""The seven topics in Kafka: making them, looking at them, and checking them before a service starts (design section 2).

What they must be is the rule in `hookline.log.fitness`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from hookline.chain.pipeline import LOG_ID_KEY, LogId, Pipeline
from hookline.clock import Clock, SystemClock
from hookline.errors import LogUnavailable, Refused, TopicsUnfit
from hookline.log.cluster import Cluster
from hookline.log.codec import decode_setting, encode_setting
from hookline.log.fitness import CO_PARTITIONED, Topics, TopicState, config_of, fitness, narrow, partitions_of
from hookline.log.kafka import KafkaCluster
from hookline.log.kafka_client import KAFKA_TROUBLE, abandon_admin
from hookline.log.kafka_metadata import ask_topics
from hookline.log.kafka_start import started
from hookline.log.kafka_words import missing_right
from hookline.log.records import LOGS, PIPELINES, Topic
from hookline.log.retention import retention_ms
from hookline.log.scan import scan

__all__ = [
    "check_topics",
    "create_topics",
    "describe",
    "new_epoch",
    "read_log_id",
    "topic_states",
]

ASK_S = 15.0
"""Seconds that Kafka may take to answer, or for new topics to get their leaders."""
AGAIN_S = 0.1
"""Seconds between two questions."""
OF_TOPIC = 1
"""Where a setting in DescribeConfigs comes from: it was given to the topic itself."""


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
    clock: Clock | None = None,
) -> list[str]:
    """Make what is missing, and the log's id; what was done, one sentence each. Run again it does nothing.

    Which topics take less than a record may have is said, too, and for an operator to mend.

    replication None: 3 on three or more brokers, else 1. retention_days: how long the four logs are kept, 0 for ever.
    Of topics that are there only that is changed; where they have another partition count than `partitions`, the new
    ones follow them.
    Raises TopicsUnfit where one that is there does not fit or the cluster is too small, ConfigError for a retention that
    is too short for the pipelines, LogUnavailable.
    """
    found = await describe(cluster)
    keep_ms = retention_ms(retention_days, found.pipelines)
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
        await _make(cluster, missing, count, replication, keep_ms)
        said += [
            f"made {cluster.connection.name(t)}: {partitions_of(t, count)} partitions, {replication} copies"
            for t in missing
        ]
    said += await _keep(cluster, found, keep_ms)
    if found.log_id is None:
        said.append(f"wrote log_id {await new_epoch(cluster, clock)}")
    return said + narrow(found.states)


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
    return (await _read_pipelines(cluster))[0]


async def _read_pipelines(cluster: Cluster) -> tuple[UUID | None, list[Pipeline]]:
    """The log's id and the pipelines as they stand. Raises Undecodable, LogUnavailable."""
    latest = {raw.key: raw async for raw in scan(cluster, PIPELINES)}
    found = latest.pop(LOG_ID_KEY, None)
    pipelines = [decode_setting(raw, Pipeline) for raw in latest.values() if raw.value is not None]
    return None if found is None else decode_setting(found, LogId).log_id, pipelines


async def describe(cluster: KafkaCluster) -> Topics:
    """What there is. Raises LogUnavailable, Undecodable."""
    brokers, states = await topic_states(cluster)
    log_id, pipelines = await _read_pipelines(cluster) if Topic.PIPELINES in states else (None, [])
    return Topics(brokers, states, log_id, tuple(pipelines))


async def topic_states(cluster: KafkaCluster) -> tuple[int, dict[Topic, TopicState]]:
    """How many brokers there are, and the topics that are there, without what lies in them. Raises LogUnavailable."""
    name = cluster.connection.name
    async with _admin(cluster) as admin:
        brokers = await _brokers(admin)
        found = await ask_topics(cluster.connection, map(name, Topic))
        configs = await _configs(admin, list(found)) if found else {}
    there = {topic: found[name(topic)] for topic in Topic if name(topic) in found}
    return brokers, {
        topic: TopicState(
            name(topic), it.partitions, it.replication, *configs[name(topic)], id=it.id, may_write=it.may_write
        )
        for topic, it in there.items()
    }


def _missing(found: Topics) -> list[Topic]:
    return [topic for topic in Topic if topic not in found.states]


async def _make(
    cluster: KafkaCluster, missing: Sequence[Topic], partitions: int, replication: int, keep_ms: str
) -> None:
    name = cluster.connection.name
    new = [
        NewTopic(name(t), partitions_of(t, partitions), replication, topic_configs=config_of(t, replication, keep_ms))
        for t in missing
    ]
    async with _admin(cluster) as admin:
        while True:
            if await _made(admin, new):
                break
            await asyncio.sleep(AGAIN_S)
        await _led(admin, {name(topic) for topic in missing})


async def _made(admin: AIOKafkaAdminClient, new: Sequence[NewTopic]) -> bool:
    """Ask for these topics; False where no broker can have them at this moment. Raises TopicsUnfit.

    So it is for a while when a broker was killed and is back before its old session is over: it answers, in the old one's place.
    """
    try:
        answer = await admin.create_topics(new)
    except AttributeError:  # aiokafka, where no broker is registered at this moment: it asks None for its address
        return False
    errors = [(text, for_code(code), why) for text, code, why in answer.topic_errors]
    if any(
        error is InvalidReplicationFactorError for _, error, _ in errors
    ):  # there are brokers enough: they are fenced
        return False
    for text, error, why in errors:
        # Someone else made it meanwhile: the check before each start tells whether it fits.
        if error not in (NoError, TopicAlreadyExistsError):
            raise TopicsUnfit(f"{text} could not be made: {why or error.__name__}")
    return True


async def _keep(cluster: KafkaCluster, found: Topics, keep_ms: str) -> list[str]:
    """Give the logs that are there that `retention.ms`; what was done, one sentence each. Raises TopicsUnfit, LogUnavailable."""
    other = [s for t, s in found.states.items() if t in LOGS and s.config.get("retention.ms") != keep_ms]
    if not other:
        return []
    # AlterConfigs puts what it is given in the place of all that the topic was given before.
    wanted = [ConfigResource(ConfigResourceType.TOPIC, s.name, {**s.own, "retention.ms": keep_ms}) for s in other]
    async with _admin(cluster) as admin:
        for answer in await admin.alter_configs(wanted):
            for code, why, _, name in answer.resources:
                if code:
                    raise TopicsUnfit(
                        f"retention.ms of {name} could not be set to {keep_ms}: {why or for_code(code).__name__}"
                    )
    return [f"{s.name}: retention.ms was {s.config.get('retention.ms')}, is {keep_ms} now" for s in other]


async def _brokers(admin: AIOKafkaAdminClient) -> int:
    """How many brokers can be used, once there is one.

    A broker that was too busy to tell its controller that it lives, or whose old session is just over, answers and counts none
    for a moment, not even itself.
    """
    while True:
        if brokers := (await admin.describe_cluster())["brokers"]:
            return len(brokers)
        await asyncio.sleep(AGAIN_S)


async def _led(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when every partition of those topics has a leader."""
    while True:
        topics = [topic for topic in await admin.describe_topics() if topic["topic"] in names]
        if len(topics) == len(names) and all(p["leader"] >= 0 for topic in topics for p in topic["partitions"]):
            return
        await asyncio.sleep(AGAIN_S)


async def _configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """By topic: all settings in force, and those that were given to it itself."""
    found = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for code, why, _, name, entries in answer.resources:
            if (error := for_code(code)) is TopicAuthorizationFailedError:
                raise Refused(missing_right(name, "DescribeConfigs"))
            if code:
                raise LogUnavailable(f"{name}: its settings cannot be read: {why or error.__name__}")
            own = {key: value for key, value, _, source, *_ in entries if source == OF_TOPIC}
            found[name] = {key: value for key, value, *_ in entries}, own
    return found


@contextlib.asynccontextmanager
async def _admin(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises LogUnavailable, also for what fails or hangs while it is in use."""
    admin = AIOKafkaAdminClient(**cluster.connection.options())
    await started(cluster.connection, admin.start, lambda: abandon_admin(admin), "topics")
    try:
        async with asyncio.timeout(ASK_S):
            yield admin
    except TimeoutError:
        raise LogUnavailable(f"topics: no answer, or no broker that can be used, within {ASK_S:g} s") from None
    except KAFKA_TROUBLE as error:
        raise LogUnavailable(f"topics: {error!r}") from error
    finally:
        await abandon_admin(admin)
