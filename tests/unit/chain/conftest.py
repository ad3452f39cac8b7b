"""What the tests of the pure core share."""

import pytest

from tests.unit.chain.logs import Logs


@pytest.fixture
def logs() -> Logs:
    """Empty logs with one worker's Fence."""
    logs = Logs()
    logs.fence()
    return logs
