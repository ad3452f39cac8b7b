"""The seven topics in Kafka: making them, looking at them, and checking them before a service starts (design section 2).

What they must be is the rule in `hookline.log.fitness`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from hookline.chain.pipeline import LOG_ID_KEY, LogId, Pipeline
from hookline.clock import Clock, SystemClock
from hookline.errors import ConfigError, LogUnavailable, Refused, TopicsUnfit
from hookline.log.cluster import Cluster
from hookline.log.codec import decode_setting, encode_setting
from hookline.log.fitness import (
    BROKERS_TIMES,
    CO_PARTITIONED,
    TIMES,
    Topics,
    TopicState,
    config_of,
    fitness,
    narrow,
    partitions_of,
)
from hookline.log.kafka import KafkaCluster
from hookline.log.kafka_client import KAFKA_TROUBLE, abandon_admin
from hookline.log.kafka_metadata import ask_topics
from hookline.log.kafka_start import started
from hookline.log.kafka_words import missing_right
from hookline.log.patience import Patience
from hookline.log.records import LOGS, PIPELINES, Topic
from hookline.log.retention import retention_ms
from hookline.log.scan import scan
from hookline.log.snapshots import DISPATCHER_GROUP

__all__ = [
    "check_topics",
    "create_topics",
    "describe",
    "group_members",
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
    tell: Callable[[str], None] = lambda said: None,
) -> list[str]:
    """Make what is missing, and the log's id; what was done, one sentence each. Run again it does nothing, or goes on from
    where it stopped.

    tell: told each sentence as soon as it is true, and what is tried again. What gets no answer is tried again for a while (`hookline.log.patience`); only a
    Kafka that does not answer at all is said at once.
    Which topics take less than a record may have is said, too, and for an operator to mend.

    replication None: 3 on three or more brokers, else 1. retention_days: how long the four logs are kept, 0 for ever.
    Of topics that are there only that is changed; where they have another partition count than `partitions`, the new
    ones follow them.
    Raises TopicsUnfit where one that is there does not fit or the cluster is too small, ConfigError for a retention that
    is too short for the pipelines, LogUnavailable.
    """
    found = await describe(cluster)
    keep_ms = retention_ms(retention_days, found.pipelines)
    if wrong := fitness(Topics(found.brokers, found.states, uuid4(), found.made_with), cluster.connection.name)[
        len(_missing(found)) > 0 :
    ]:
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
        note(f"the topics have {count} partitions, for good; {partitions} as asked for is not done")
    if missing := _missing(found):
        await patience.until(lambda: _make(cluster, missing, count, replication, keep_ms))
        note(
            *(
                f"made {cluster.connection.name(t)}: {partitions_of(t, count)} partitions, {replication} copies"
                for t in missing
            )
        )
    note(*await patience.until(lambda: _set(cluster, found, keep_ms)))
    if found.log_id is None or found.made_with is None:
        wanted = LogId(log_id=found.log_id or uuid4(), partitions=count)
        written = await patience.until(lambda: _write_log_id(cluster, wanted, clock))
        note(
            f"wrote log_id {written.log_id}" if found.log_id is None else f"recorded that there are {count} partitions"
        )
    made_right = {t: replace(s, config={**s.config, TIMES: BROKERS_TIMES}) for t, s in found.states.items()}
    note(*narrow(made_right))
    return said


async def new_epoch(cluster: KafkaCluster, clock: Clock | None = None) -> UUID:
    """Write a new log_id: after a restore from backup it keeps old push ids from coming back.

    Raises ConfigError while a consumer group has members, and names them: whoever runs would go on under the old id.
    TopicsUnfit, AppendFailed, LogUnavailable.
    """
    if members := await group_members(cluster, DISPATCHER_GROUP):
        raise ConfigError(
            f"the consumer group {cluster.connection.topic_prefix}{DISPATCHER_GROUP} has members: {', '.join(members)}. Stop"
            " all services first; a dispatcher that has a HOOKLINE_GROUP_INSTANCE_ID counts for its session timeout longer"
            " (HOOKLINE_SESSION_TIMEOUT_MS, 45 s)"
        )
    made = LogId(log_id=uuid4(), partitions=await cluster.partitions(Topic.PUSHES))
    await _append_log_id(cluster, made, clock)
    return made.log_id


async def group_members(cluster: KafkaCluster, group: str) -> list[str]:
    """Who is in that group now, as an operator knows them. Raises LogUnavailable."""
    name = f"{cluster.connection.topic_prefix}{group}"
    async with _admin(cluster) as admin:
        members = await _members(admin, name)
    return [f"{member} ({client} at {host.lstrip('/')})" for member, client, host, *_ in members]


async def _members(admin: AIOKafkaAdminClient, name: str) -> Sequence[tuple[str, ...]]:
    """As soon as a broker leads it: the first time that anybody asks for a group, Kafka makes the topic that it lives in."""
    while True:
        try:
            (answer,) = await admin.describe_consumer_groups([name])
            ((code, _, _, _, _, members, *_),) = answer.groups
            if code:
                raise for_code(code)
        except GroupAuthorizationFailedError as error:
            raise Refused(missing_right(name, "Describe", "group")) from error
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            found: Sequence[tuple[str, ...]] = members
            return found


async def _write_log_id(cluster: KafkaCluster, wanted: LogId, clock: Clock | None) -> LogId:
    """What lies there: that, unless a try before it has landed, or somebody else was first."""
    found, _ = await _read_pipelines(cluster)
    if found is not None and found.partitions is not None:
        return found
    await _append_log_id(cluster, wanted, clock)
    return wanted


async def _append_log_id(cluster: Cluster, wanted: LogId, clock: Clock | None) -> None:
    producer = await cluster.producer()
    try:
        await producer.append(encode_setting(wanted, now_ms=(clock or SystemClock()).now_ms()))
    finally:
        await producer.close()


async def read_log_id(cluster: Cluster) -> UUID | None:
    """The last log_id in `pipelines`, None without any. Raises Undecodable, LogUnavailable."""
    found, _ = await _read_pipelines(cluster)
    return None if found is None else found.log_id


async def _read_pipelines(cluster: Cluster) -> tuple[LogId | None, list[Pipeline]]:
    """The log's id, as it is recorded, and the pipelines as they stand. Raises Undecodable, LogUnavailable."""
    latest = {raw.key: raw async for raw in scan(cluster, PIPELINES)}
    found = latest.pop(LOG_ID_KEY, None)
    pipelines = [decode_setting(raw, Pipeline) for raw in latest.values() if raw.value is not None]
    return None if found is None else decode_setting(found, LogId), pipelines


async def describe(cluster: KafkaCluster) -> Topics:
    """What there is. Raises LogUnavailable, Undecodable."""
    brokers, states = await topic_states(cluster)
    log_id, pipelines = await _read_pipelines(cluster) if Topic.PIPELINES in states else (None, [])
    if log_id is None:
        return Topics(brokers, states, None, None, tuple(pipelines))
    return Topics(brokers, states, log_id.log_id, log_id.partitions, tuple(pipelines))


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


async def _set(cluster: KafkaCluster, found: Topics, keep_ms: str) -> list[str]:
    """Give the logs that are there that `retention.ms`, and the brokers' time; what was done, one sentence each.

    Raises TopicsUnfit, LogUnavailable.
    """
    right = {"retention.ms": keep_ms, TIMES: BROKERS_TIMES}
    other = [s for t, s in found.states.items() if t in LOGS and not right.items() <= s.config.items()]
    if not other:
        return []
    # AlterConfigs puts what it is given in the place of all that the topic was given before.
    wanted = [ConfigResource(ConfigResourceType.TOPIC, s.name, {**s.own, **right}) for s in other]
    async with _admin(cluster) as admin:
        for answer in await admin.alter_configs(wanted):
            for code, why, _, name in answer.resources:
                if code:
                    raise TopicsUnfit(f"{name} could not be set to {right}: {why or for_code(code).__name__}")
    return [
        f"{s.name}: {key} was {s.config.get(key)}, is {value} now"
        for s in other
        for key, value in right.items()
        if s.config.get(key) != value
    ]


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
