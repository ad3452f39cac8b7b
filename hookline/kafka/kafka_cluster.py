"""A cluster of real Kafka brokers, over aiokafka 0.14. The parts are its neighbours here."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Literal, TypeAlias

from hookline.errors import ConfigError, TopicsUnfit
from hookline.kafka.client import CLIENT_TIMES, PLAINTEXT, ClientTimes, Connection, Security
from hookline.kafka.consumer import KafkaConsumer
from hookline.kafka.fallback_consumer import FallbackConsumer
from hookline.kafka.group import KafkaGroup, MakeReader
from hookline.kafka.offsets import KafkaOffsets
from hookline.kafka.producer import KafkaProducer
from hookline.kafka.security import security_of
from hookline.log.cluster import Consumer, Group, GroupListener, Offsets, Producer
from hookline.log.records import Topic
from hookline.settings import Settings

__all__ = ["AIOKAFKA", "Fetcher", "KafkaCluster", "kafka_cluster"]

APPEND_TIMEOUT_S = 4.0
"""So that ingress and callbacks answer 503 within 5 s of Kafka's death."""
AIOKAFKA = "0.14"
"""The release that this room was written for, and is tested with: it uses names of it that are not promised (`client.py`)."""

Fetcher: TypeAlias = Literal["own", "aiokafka"]
FETCHERS: Mapping[Fetcher, MakeReader] = {"own": KafkaConsumer, "aiokafka": FallbackConsumer}


class KafkaCluster:
    """`hookline.log.cluster.Cluster`.

    topic_prefix: put before topics and groups. instance_id: static membership in groups under that name.
    session_timeout_ms: after so long without a sign of life the group gives a member's partitions to others.
    fetcher: what reads; "aiokafka" where our own is suspected (`hookline.kafka.fallback_consumer`).
    append_timeout_s, times: as they are but for tests, of clients that hear of another leader sooner or later than ours.
    """

    def __init__(
        self,
        bootstrap_servers: str | tuple[str, ...],
        topic_prefix: str,
        *,
        client_id: str,
        instance_id: str = "",
        session_timeout_ms: int = 45_000,
        security: Security = PLAINTEXT,
        append_timeout_s: float = APPEND_TIMEOUT_S,
        times: ClientTimes = CLIENT_TIMES,
        fetcher: Fetcher = "own",
    ) -> None:
        servers = tuple(bootstrap_servers.split(",")) if isinstance(bootstrap_servers, str) else bootstrap_servers
        self.connection = Connection(servers, topic_prefix, client_id, security, times=times)
        self._instance_id = instance_id
        self._session_timeout_ms = session_timeout_ms
        self._append_timeout_s = append_timeout_s
        self._make_reader = FETCHERS[fetcher]

    async def producer(self) -> Producer:
        """Raises LogUnavailable."""
        producer = KafkaProducer(self.connection, self._append_timeout_s)
        await producer.start()
        return producer

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        """Raises LogUnavailable."""
        consumer = self._make_reader(self.connection, gather_ms)
        await consumer.start()
        return consumer

    async def group(self, group: str, listener: GroupListener) -> Group:
        """Raises LogUnavailable."""
        member = KafkaGroup(
            self.connection, group, listener, self._instance_id, self._session_timeout_ms, self._make_reader
        )
        await member.start()
        return member

    async def offsets(self) -> Offsets:
        """Raises LogUnavailable."""
        offsets = KafkaOffsets(self.connection)
        await offsets.start()
        return offsets

    async def partitions(self, topic: Topic) -> int:
        """Raises TopicsUnfit, LogUnavailable."""
        offsets = KafkaOffsets(self.connection)
        await offsets.start()
        try:
            count = await offsets.partitions(topic)
        finally:
            await offsets.close()
        if count is None:
            raise TopicsUnfit(f"there is no topic {self.connection.name(topic)}: run `hookline topics create`")
        return count


def kafka_cluster(settings: Settings, service: str) -> KafkaCluster:
    """The cluster that settings name (else the embedded broker's port), under the client id `hookline-<service>`.

    Raises ConfigError, also where another release of aiokafka is installed than this room was written for.
    """
    _check_release(version("aiokafka"))
    return KafkaCluster(
        settings.kafka_bootstrap_servers or (f"127.0.0.1:{settings.kafka_port}",),
        settings.topic_prefix,
        client_id=f"hookline-{service}",
        instance_id=settings.group_instance_id,
        session_timeout_ms=settings.session_timeout_ms,
        security=security_of(settings),
        fetcher=settings.kafka_fetcher,
    )


def _check_release(installed: str) -> None:
    """No setting makes another one safe: members, commits and closing go by inner names of it, too, and most of them are only
    used once something else has gone wrong. So it is said before anything connects. Raises ConfigError."""
    if not installed.startswith(f"{AIOKAFKA}."):
        raise ConfigError(
            f"aiokafka {installed} is installed, and Hookline is written for {AIOKAFKA}: pip install 'aiokafka~={AIOKAFKA}.0'"
        )
