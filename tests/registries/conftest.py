"""A stand for the tests of this folder, and what is missing on this machine said in words."""

import pytest

from tests.integration.conftest import stand as stand
from tests.registries.registry import MISSING


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests with a real registry where there is none."""
    if not MISSING:
        return
    reason = f"left out: {', '.join(MISSING)} not installed (Debian: apt-get install {' '.join(MISSING)})"
    for item in items:
        if "real_registry" in item.keywords:
            item.add_marker(pytest.mark.skip(reason))
