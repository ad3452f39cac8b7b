"""What tests share: one real Kafka a session, a prefix that keeps tests' topics apart, a broker of a test's own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.broker import EmbeddedBroker, choose_broker
from tests.kafka import docker_answers, free_broker_port, make_broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a running broker (HOOKLINE_KAFKA_BOOTSTRAP_SERVERS if set); tests share it, so prefix topics and groups."""
    if given := os.environ.get("HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with make_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def kafka_in_docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As `kafka`, in a container; for tests marked `docker`. Skips where no engine answers."""
    if not docker_answers():
        pytest.skip("no Docker engine answers")
    broker = choose_broker(
        "docker", tmp_path_factory.mktemp("kafka-in-docker"), free_broker_port(), login=None, say=print
    )
    broker.start()
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture(params=["kafka", pytest.param("kafka_in_docker", marks=pytest.mark.docker)])
def each_kafka(request: pytest.FixtureRequest) -> str:
    """Bootstrap servers of each kind of broker we can run, one after the other: what the contract suite runs on."""
    servers: str = request.getfixturevalue(request.param)
    return servers


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics (and groups) that no other test uses, such as `t3f9a1c2e.`."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A started broker that this test may kill, stop and start; gone with the test."""
    with make_broker(tmp_path / "kafka") as broker:
        yield broker
