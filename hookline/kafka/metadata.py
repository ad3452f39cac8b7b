"""Kafka's Metadata of version 10: the first that tells a topic's id, which another topic of its name does not have, and what
we may do with it. aiokafka knows version 5."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from hookline.errors import LogUnavailable, Refused
from hookline.kafka.client import Connection, abandon_client
from hookline.kafka.rights import missing_right
from hookline.kafka.start import started

__all__ = ["KafkaTopic", "ask_topics"]

NO_ERROR, UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, TOPIC_AUTHORIZATION_FAILED = 0, 3, 5, 29
WRITE = 1 << 4
"""The bit of the right to write, of all that a topic's rights are told in."""
BY_NAME = UUID(int=0)
TAGS = ("tags", TaggedFields)


class KafkaTopic(NamedTuple):
    """A topic as a broker tells of it. replication: of the partition that has fewest copies."""

    id: UUID
    partitions: int
    replication: int
    may_write: bool


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]  # aiokafka's types are not told
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString()), TAGS
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                TAGS,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        TAGS,
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION = 3, 10, True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        TAGS,
    )


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc]
    """Of those topics. Asking for one that is missing makes none."""

    API_KEY = 3

    def __init__(self, names: Iterable[str]) -> None:
        self._struct = _MetadataStruct([(BY_NAME, name, {}) for name in names], False, False, True, {})

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return self._struct


async def ask_topics(connection: Connection, names: Iterable[str]) -> Mapping[str, KafkaTopic]:
    """Those of the topics that are there. Raises LogUnavailable; Refused where we may not see one."""
    client = AIOKafkaClient(**connection.options())
    await started(connection, client, client.bootstrap, lambda: abandon_client(client), "topics")
    try:
        answer = await client.send(client.get_random_node(), _Metadata(names))
    finally:
        await abandon_client(client)
    found = {}
    for code, name, topic_id, _, partitions, rights, _ in answer.topics:
        if code == TOPIC_AUTHORIZATION_FAILED:
            raise Refused(missing_right(name, "Describe"))
        if code in (NO_ERROR, LEADER_NOT_AVAILABLE):
            replication = min(len(replicas) for _, _, _, _, replicas, *_ in partitions)
            found[name] = KafkaTopic(topic_id, len(partitions), replication, bool(rights & WRITE))
        elif code != UNKNOWN_TOPIC:
            raise LogUnavailable(f"{name}: {for_code(code).__name__}")
    return found
