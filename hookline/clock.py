"""Time, passed in: the system's here; tests move one by hand (`hookline.testing.manual_clock`)."""

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Wall time for events and deadlines, monotonic time for intervals, and sleep."""

    def now_ms(self) -> int:
        """Unix milliseconds, UTC: what events and deadlines hold."""

    def monotonic(self) -> float:
        """Seconds from any start; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""


class SystemClock:
    """The machine's clock, moved by `skew_ms` (the soak gives each service its own skew)."""

    def __init__(self, skew_ms: int = 0) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._skew_ms

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
