"""What an operator does to topics while they are in use, over both clusters: lower a limit, take a right away, make a topic anew."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from hookline.errors import AppendFailed
from hookline.kafka.fitness import config_of
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster
from hookline.log.records import MAX_RECORD_BYTES, Draft, Place, Topic
from hookline.testing.memory_broker import MemoryBroker
from tests.kit.waiting import until

ANYBODY = "User:ANONYMOUS"
"""Who a client without a credential is, for Kafka."""
GUARDED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Properties of a broker that goes by rights, and by default gives everybody all of them."""


async def set_limit(cluster: Cluster, topic: Topic, limit: int = MAX_RECORD_BYTES) -> None:
    """`max.message.bytes` of a topic, in force when this returns."""
    if isinstance(cluster, MemoryBroker):
        cluster.limits[topic] = limit
        return
    await change(cluster, topic, "max.message.bytes", limit)


async def change(cluster: Cluster, topic: Topic, setting: str, most: int) -> None:
    """A setting that says how large a record of the topic may be, in force when this returns."""
    assert isinstance(cluster, KafkaCluster)
    name = cluster.connection.name(topic)
    async with _admin(cluster) as admin:
        settings = config_of(topic, 1) | {setting: str(most)}  # it replaces all that the topic was given
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, settings)])
    size = min(most + 500, MAX_RECORD_BYTES - 1024)
    await _until_taken(cluster, replace(_small(topic), value=_noise(size)), taken=most >= MAX_RECORD_BYTES)


async def _until_taken(cluster: KafkaCluster, probe: Draft, *, taken: bool) -> None:
    """Wait until the broker goes by what it was told, which it does a moment later."""

    async def is_so() -> bool:
        return await _is_taken(cluster, probe) == taken

    await until(is_so, pause_s=0.05)


def _small(topic: Topic) -> Draft:
    return Draft(Place(topic, _probe_partition(topic)), b"probe", b"x")


def _probe_partition(topic: Topic) -> int:
    """The partition that probes go to; tests leave it alone."""
    return 0 if topic in (Topic.PIPELINES, Topic.QUARANTINE) else 3


async def _is_taken(cluster: KafkaCluster, probe: Draft) -> bool:
    producer = await cluster.producer()
    try:
        await producer.append(probe)
    except AppendFailed:
        return False
    else:
        return True
    finally:
        await producer.close()


def _noise(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return Random(size).randbytes(size)


async def take_right(cluster: Cluster, topic: Topic) -> None:
    """Nobody may write to the topic any more, in force when this returns."""
    if isinstance(cluster, MemoryBroker):
        cluster.denied.add(topic)
        return
    assert isinstance(cluster, KafkaCluster)
    await take(cluster, topic, AclOperation.WRITE)
    await _until_taken(cluster, _small(topic), taken=False)


async def take(cluster: KafkaCluster, topic: Topic, operation: AclOperation) -> None:
    """Nobody may do that with the topic any more, in force a moment later."""
    name = cluster.connection.name(topic)
    allow = _acl(name, AclOperation.ALL, AclPermissionType.ALLOW)  # with one rule there, no other thing is allowed
    deny = _acl(name, operation, AclPermissionType.DENY)
    acls = _acls(cluster)  # kept: what it was asked is dropped with it
    await _done(acls.create_acls([allow, deny]).values())


async def give_right(cluster: Cluster, topic: Topic) -> None:
    """Everybody may write to it again."""
    if isinstance(cluster, MemoryBroker):
        cluster.denied.discard(topic)
        return
    assert isinstance(cluster, KafkaCluster)
    name = cluster.connection.name(topic)
    of_topic = AclBindingFilter(
        ResourceType.TOPIC, name, ResourcePatternType.LITERAL, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    acls = _acls(cluster)
    await _done(acls.delete_acls([of_topic]).values())
    await _until_taken(cluster, _small(topic), taken=True)


async def make_anew(cluster: Cluster, topic: Topic, partitions: int) -> None:
    """Delete the topic, with what lies in it, make it again as it was made before, and wait until it is there."""
    if isinstance(cluster, MemoryBroker):
        cluster.make_anew(topic)
        return
    assert isinstance(cluster, KafkaCluster)
    await delete(cluster, topic)
    name = cluster.connection.name(topic)
    async with _admin(cluster) as admin:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config_of(topic, 1))])
        await _listed(admin, name)


async def delete(cluster: KafkaCluster, topic: Topic) -> None:
    """And wait until it is gone."""
    name = cluster.connection.name(topic)
    async with _admin(cluster) as admin:
        await admin.delete_topics([name])
        await _listed(admin, name, wanted=False)


async def _listed(admin: AIOKafkaAdminClient, name: str, *, wanted: bool = True) -> None:
    """A broker hears of it from the controller a moment later."""

    async def is_so() -> bool:
        return (name in await admin.list_topics()) == wanted

    await until(is_so, pause_s=0.05)


def _acl(name: str, operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    return AclBinding(ResourceType.TOPIC, name, ResourcePatternType.LITERAL, ANYBODY, "*", operation, permission)


def _acls(cluster: KafkaCluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": ",".join(cluster.connection.bootstrap_servers)})


async def _done(futures: Iterable["Future[object]"]) -> None:
    for future in futures:
        await asyncio.wrap_future(future)


@asynccontextmanager
async def _admin(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=list(cluster.connection.bootstrap_servers))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
