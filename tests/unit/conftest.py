"""Hypothesis profiles: modest by default, `HYPOTHESIS_PROFILE=thorough` for a long look; `unshrunk` tells only whether a test fails."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

_SLOW_MACHINES = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("modest", max_examples=50, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.register_profile("thorough", max_examples=3000, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.register_profile(
    "unshrunk", settings.get_profile("modest"), phases=[Phase.explicit, Phase.generate], database=None
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "modest"))


@pytest.fixture(autouse=True)
def no_logger_stays_bound() -> Iterator[None]:
    """Fails the test that sets logging up as a service does: later ones in its process would capture nothing."""
    yield
    assert not structlog.get_config()["cache_logger_on_first_use"], "use tests.configured_logging"
