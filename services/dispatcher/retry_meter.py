"""How fast retries begin, so that thousands that are due at once (a receiver is back after a day) take no CPU from new pushes.

A generic cell rate algorithm: each retry moves the time from which the next one may begin, by an interval that is shorter the
more of them wait.
"""

from collections.abc import Callable

__all__ = ["LEAST_PER_S", "MOST_LATE_S", "RetryMeter"]

LEAST_PER_S = 50.0
"""Where fewer are due, none waits. On two slow cores that run everything, new pushes hardly feel so many (docs/performance.md, `outage`)."""
MOST_LATE_S = 900.0
"""Seconds over which those that wait are spread where LEAST_PER_S would take longer: more of them begin sooner, so that a
dispatcher whose retries come permanently faster than LEAST_PER_S is late by so much, and no more."""
BURST = 10
"""Retries that may begin at once after a while without any."""


class RetryMeter:
    """Of one process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._full_at = monotonic()
        """When a burst may begin again."""

    def wait_s(self, waiting: int) -> float:
        """Seconds until one may begin while so many wait; 0 for now."""
        return max(0.0, self._full_at - (BURST - 1) * _interval_s(waiting) - self._monotonic())

    def begun(self, waiting: int) -> None:
        """One has, and so many wait behind it."""
        self._full_at = max(self._full_at, self._monotonic()) + _interval_s(waiting)


def _interval_s(waiting: int) -> float:
    return 1 / max(LEAST_PER_S, waiting / MOST_LATE_S)
