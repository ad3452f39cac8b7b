"""What integration tests share: one broker a session, on which each puts topics of its own."""

from collections.abc import Iterator

import pytest

from hookline.broker import EmbeddedBroker
from tests.integration.system import Stand

LONGEST = "test_rolling"
"""Begun last, it would leave the other worker idle for a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem != LONGEST)


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A started broker that tests put systems on, each with topics of its own."""
    made = Stand(tmp_path_factory.mktemp("stand"))
    with made.broker:
        yield made


@pytest.fixture(scope="session")
def kafka(stand: Stand) -> str:
    """Bootstrap servers of that same broker: starting another takes seconds."""
    return stand.broker.bootstrap_servers


@pytest.fixture
def own_broker(stand: Stand) -> Iterator[EmbeddedBroker]:
    """That broker again, for a test that kills it: tests here run one after the other, and it is started where one leaves it dead."""
    yield stand.broker
    stand.broker.start()
