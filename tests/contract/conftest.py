"""One suite over both clusters: in memory (calm, and with faults from several seeds) and real Kafka, also in a container."""

from collections.abc import AsyncIterator

import pytest

from hookline.chain.pipeline import LogId
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster
from hookline.log.codec import encode_setting
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import PARTITIONS, kafka_with_topics
from tests.kit.events import LOG_ID, START

SEEDS = range(1, 6)
KINDS = [
    "memory",
    *(f"faults-{seed}" for seed in SEEDS),
    "kafka",
    pytest.param("kafka_in_docker", marks=pytest.mark.docker),
]
KINDS_AND_FALLBACK = [*KINDS, "fallback"]
"""For what is about reading: over real Kafka, by aiokafka's consumer, too."""


@pytest.fixture(params=KINDS)
async def cluster(request: pytest.FixtureRequest, topic_prefix: str) -> AsyncIterator[Cluster]:
    """A cluster with the seven topics and a log_id."""
    kind, _, seed = request.param.partition("-")
    if kind in ("kafka", "kafka_in_docker"):
        yield await kafka_with_topics(request.getfixturevalue(kind), topic_prefix)
        return
    if kind == "fallback":
        yield await kafka_with_topics(request.getfixturevalue("kafka"), topic_prefix, fetcher="aiokafka")
        return
    memory = MemoryCluster(PARTITIONS, faults=Faults(int(seed)) if seed else None)
    memory.append(encode_setting(LogId(log_id=LOG_ID), now_ms=START))
    yield memory
    await memory.land_all()


@pytest.fixture
async def kafka_cluster(kafka: str, topic_prefix: str) -> KafkaCluster:
    """For what only Kafka does."""
    return await kafka_with_topics(kafka, topic_prefix)
