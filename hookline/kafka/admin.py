"""What is asked of Kafka's admin API, and asked again where a broker is not ready to say: brokers, topics' settings, a group's members."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

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

from hookline.errors import LogUnavailable, Refused, TopicsUnfit
from hookline.kafka.client import KAFKA_TROUBLE, abandon_admin, client_of
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.rights import missing_right
from hookline.kafka.start import started

__all__ = ["admin_of", "configs_of", "count_brokers", "group_members", "make_topics"]

ASK_S = 15.0
"""Seconds that Kafka may take to answer, or for new topics to get their leaders."""
AGAIN_S = 0.1
"""Seconds between two questions."""
OF_TOPIC = 1
"""Where a setting in DescribeConfigs comes from: it was given to the topic itself."""


@contextlib.asynccontextmanager
async def admin_of(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises LogUnavailable, also for what fails or hangs while it is in use."""
    admin = AIOKafkaAdminClient(**cluster.connection.options())
    await started(cluster.connection, client_of(admin), admin.start, lambda: abandon_admin(admin), "topics")
    try:
        async with asyncio.timeout(ASK_S):
            yield admin
    except TimeoutError:
        raise LogUnavailable(f"topics: no answer, or no usable broker, within {ASK_S:g} s") from None
    except KAFKA_TROUBLE as error:
        raise LogUnavailable(f"topics: {error!r}") from error
    finally:
        await abandon_admin(admin)


async def group_members(cluster: KafkaCluster, group: str) -> list[str]:
    """Who is in that group now, as an operator knows them. Raises LogUnavailable."""
    name = f"{cluster.connection.topic_prefix}{group}"
    async with admin_of(cluster) as admin:
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


async def make_topics(admin: AIOKafkaAdminClient, new: Sequence[NewTopic]) -> None:
    """Return once each is there and every partition has a leader. Raises TopicsUnfit."""
    while not await _made(admin, new):  # noqa: ASYNC110 - Kafka tells nobody when it can
        await asyncio.sleep(AGAIN_S)
    await _led(admin, {topic.name for topic in new})


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


async def count_brokers(admin: AIOKafkaAdminClient) -> int:
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


async def configs_of(
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
