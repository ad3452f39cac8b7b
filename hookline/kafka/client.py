"""What every aiokafka client of ours is given, and the few things done behind aiokafka 0.14's back, each with its reason.

Nothing else in the project touches a private name of aiokafka; `tests/unit/log/test_inner_names.py` names each, and which
release they were looked up in.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from hookline.errors import LogUnavailable, NameTaken, Refused
from hookline.kafka.rights import missing_right
from hookline.log.last_reads import LastReads
from hookline.log.records import Place, Topic

__all__ = [
    "CLIENT_TIMES",
    "KAFKA_TROUBLE",
    "PLAINTEXT",
    "ClientTimes",
    "Connection",
    "Membership",
    "Security",
    "abandon_admin",
    "abandon_client",
    "abandon_consumer",
    "check_member",
    "client_of",
    "commit_once",
    "membership",
    "polling",
]

KAFKA_TROUBLE = (KafkaError, OSError, TimeoutError)
"""What aiokafka raises for anything wrong with Kafka or the way to it."""

CLOSE_S = 2.0
"""Seconds that closing waits for tasks that were cancelled."""


@dataclass(frozen=True)
class Security:
    """How brokers are spoken to. mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with the SASL protocols."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None
    ssl_context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Security({self.protocol})"  # I11: never the password

    def options(self) -> dict[str, object]:
        """Keyword arguments that aiokafka's clients and connections take."""
        return {
            "security_protocol": self.protocol,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": self.ssl_context,
        }


PLAINTEXT = Security()


@dataclass(frozen=True)
class ClientTimes:
    """How long clients go by what they know. Short times: a broker that went away is noticed in seconds."""

    metadata_max_age_ms: int = 3000
    """Who leads which place is asked again after so long, whether or not anything went wrong."""
    request_timeout_ms: int = 5000
    """A fetch, or whatever has no time of its own, is waited for so long."""


CLIENT_TIMES = ClientTimes()


@dataclass(frozen=True)
class Connection:
    """Where the brokers are and how we call ourselves and our topics."""

    bootstrap_servers: tuple[str, ...]
    topic_prefix: str
    client_id: str
    security: Security = PLAINTEXT
    last_reads: LastReads = field(default_factory=LastReads, compare=False, repr=False)
    times: ClientTimes = CLIENT_TIMES

    def options(self, request_timeout_ms: int | None = None) -> dict[str, object]:
        """Keyword arguments that all aiokafka clients take. request_timeout_ms: of a client that waits otherwise than others."""
        return {
            "bootstrap_servers": list(self.bootstrap_servers),
            "client_id": self.client_id,
            "metadata_max_age_ms": self.times.metadata_max_age_ms,
            "request_timeout_ms": request_timeout_ms or self.times.request_timeout_ms,
            "retry_backoff_ms": 100,
            **self.security.options(),
        }

    def name(self, topic: Topic) -> str:
        """The topic's name in Kafka."""
        return f"{self.topic_prefix}{topic}"

    def of(self, place: Place) -> TopicPartition:
        return TopicPartition(f"{self.topic_prefix}{place.topic}", place.partition)


# --- behind aiokafka's back


def client_of(one: AIOKafkaConsumer | AIOKafkaAdminClient) -> AIOKafkaClient:
    """The client by which it speaks to brokers."""
    return one._client


async def abandon_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close at once; a member without a static name tells its group first, for at most CLOSE_S.

    `stop()` waits for requests to brokers that are away, and raises CancelledError where a fetch is in its back-off.
    """
    stopping = None
    if consumer._group_id is not None and consumer._group_instance_id is None:
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait({stopping}, timeout=CLOSE_S)
    consumer._closed = True
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = [stopping, *(getattr(coordinator, name, None) for name in names)]
    if fetcher is not None:
        fetcher._closed = True
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]
    await _cancelled(tasks)
    await abandon_client(consumer._client)


async def abandon_client(client: AIOKafkaClient) -> None:
    """Close at once. `close()` waits until the peer of each connection has taken all we sent, which a dead one never does."""
    for connection in client._conns.values():
        if connection._writer is not None:
            connection._writer.transport.abort()
    await _cancelled([client._sync_task])
    with contextlib.suppress(*KAFKA_TROUBLE):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


async def abandon_admin(admin: AIOKafkaAdminClient) -> None:
    """Close at once, as `abandon_client`."""
    admin._closed = True
    await abandon_client(admin._client)


async def _cancelled(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    ours = [task for task in tasks if task is not None]
    for task in ours:
        task.cancel()
    if ours:
        await asyncio.wait(ours, timeout=CLOSE_S)
    for task in ours:
        if task.done() and not task.cancelled():
            task.exception()  # seen


class FencedInstanceIdError(kafka_errors.BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """Kafka's error 82, which aiokafka does not know: another member has joined under our static name since."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors.kafka_errors[FencedInstanceIdError.errno] = FencedInstanceIdError


def check_member(consumer: AIOKafkaConsumer) -> None:
    """Raises LogUnavailable where it cannot be a member any more, as `getmany` would; Refused where it may not be, and
    NameTaken where another process is it."""
    try:
        consumer._coordinator.check_errors()
    except kafka_errors.GroupAuthorizationFailedError as error:
        raise Refused(missing_right(consumer._group_id, "Read", "group")) from error
    except KafkaError as error:
        if FencedInstanceIdError.__name__ in repr(error):  # aiokafka wraps it in others
            raise NameTaken(
                f"another process is in the group {consumer._group_id} under our name {consumer._group_instance_id}: the two"
                " keep taking the partitions from each other. Stop one of them, or give each dispatcher a"
                " HOOKLINE_GROUP_INSTANCE_ID of its own"
            ) from error
        raise LogUnavailable(f"cannot be a member of {consumer._group_id}: {error!r}") from error


def polling(consumer: AIOKafkaConsumer) -> AbstractContextManager[None]:
    """While it is entered, or was lately, the member counts as one that works; one that does not leaves its group."""
    context: AbstractContextManager[None] = consumer._subscription.fetch_context()
    return context


class Membership(NamedTuple):
    """What a commit is sent under."""

    member: str
    generation: int


def membership(consumer: AIOKafkaConsumer) -> Membership:
    """Who this consumer is in its group now."""
    return Membership(consumer._coordinator.member_id, consumer._coordinator.generation)


_NOT_APPLIED = (
    kafka_errors.GroupLoadInProgressError,
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorForGroupError,
)


async def commit_once(
    consumer: AIOKafkaConsumer, under: Membership, offsets: Mapping[TopicPartition, OffsetAndMetadata]
) -> bool:
    """One commit under that membership; False if the group has gone on. Raises KafkaError where it is unknown what became of it.

    `consumer.commit()` will not do: after a request without an answer it sends again, under whatever generation it then
    has. By then the partition may have been another member's, which has committed and deleted what ours names.
    """
    coordinator = consumer._coordinator
    while True:
        await coordinator.ensure_coordinator_known()
        if membership(consumer) != under:
            return False
        try:
            await coordinator._do_commit_offsets(consumer._subscription.subscription.assignment, offsets)
        except _NOT_APPLIED:  # a broker that is not, or not yet, the group's: nothing was done
            await asyncio.sleep(0.1)
        except (
            kafka_errors.UnknownMemberIdError,
            kafka_errors.IllegalGenerationError,
            kafka_errors.RebalanceInProgressError,
        ):
            return False
        else:
            return True
