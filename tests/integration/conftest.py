"""What integration tests share: a stand for whole systems, one a session."""

from collections.abc import Iterator

import pytest

from tests.integration.system import Stand


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A started broker that tests put systems on, each with topics of its own."""
    made = Stand(tmp_path_factory.mktemp("stand"))
    with made.broker:
        yield made
