"""A log that has lost what was read of it: waited for where it may have, and said once for each time, in the log and in a metric,
by every service that reads."""

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from hookline.errors import OffsetOutOfRange

__all__ = ["LOST_LOGS", "say_lost", "until_sure"]

log = structlog.get_logger()

DOUBT_S = 0.01
"""Between two looks at whether a log is still the one that was read: a few fetches tell."""

LOST_LOGS = Counter("hookline_lost_logs", "Times that a log turned out to have lost records", ["topic", "partition"])


def say_lost(error: OffsetOutOfRange, then: str) -> None:
    """then: what the service does about it."""
    LOST_LOGS.labels(error.topic, error.partition).inc()
    log.error(
        "a log has lost records that were already read",
        topic=error.topic,
        partition=error.partition,
        offset=error.offset,
        reason=error.reason,
        then=then,
    )


async def until_sure(in_doubt: Callable[[], bool], check: Callable[[], None] = lambda: None) -> None:
    """Return once it is known that the logs are still those that were read (`Consumer.in_doubt`).

    check: called before each look but the first; raises where there is nothing to wait for any more.
    """
    while in_doubt():
        check()
        await asyncio.sleep(DOUBT_S)
