"""A log that has lost what was read of it: said once for each time, in the log and in a metric, by every service that reads."""

import structlog
from prometheus_client import Counter

from hookline.errors import OffsetOutOfRange

__all__ = ["LOST_LOGS", "say_lost"]

log = structlog.get_logger()

LOST_LOGS = Counter(
    "hookline_lost_logs", "Times that a log turned out to have lost what was read of it", ["topic", "partition"]
)


def say_lost(error: OffsetOutOfRange, then: str) -> None:
    """then: what the service does about it."""
    LOST_LOGS.labels(error.topic, error.partition).inc()
    log.error(
        "a log has lost what was read of it",
        topic=error.topic,
        partition=error.partition,
        offset=error.offset,
        reason=error.reason,
        then=then,
    )
