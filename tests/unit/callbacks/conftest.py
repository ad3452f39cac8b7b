"""What every test of callbacks begins with."""

from collections.abc import Iterator

import pytest

from hookline.log.losses import LOST_LOGS


@pytest.fixture(autouse=True)
def nothing_lost() -> Iterator[None]:
    """A metric outlives its test, and the next ones look for what they must not find under the same labels."""
    yield
    LOST_LOGS.clear()
