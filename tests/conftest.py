"""What tests share: one real Kafka a session, a prefix that keeps tests' topics apart, a broker of a test's own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.broker import EmbeddedBroker
from tests.kafka import make_broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a running broker (HOOKLINE_KAFKA_BOOTSTRAP_SERVERS if set); tests share it, so prefix your topics and groups."""
    if given := os.environ.get("HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with make_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics (and groups) that no other test uses, such as `t3f9a1c2e.`."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A started broker that this test may kill, stop and start; gone with the test."""
    with make_broker(tmp_path / "kafka") as broker:
        yield broker
