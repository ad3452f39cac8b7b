"""Clocks whose sleeps are real and short, for what goes on by itself; `hookline.testing.manual_clock` has the one that stands still."""

import asyncio
from collections.abc import Callable

from hookline.clock import SystemClock
from hookline.testing.manual_clock import ManualClock

Shortened = Callable[[float], float]
"""How long a sleep really takes, of how long it says."""


class HandClock(ManualClock):
    """Time is moved by hand, and does not wake sleepers: each sleep ends by itself, after its time unless `shortened`."""

    def __init__(self, shortened: Shortened = lambda seconds: seconds) -> None:
        super().__init__()
        self._shortened = shortened

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(self._shortened(seconds))


class QuickClock(SystemClock):
    """The system's time, with sleeps that are a hundred times shorter unless said otherwise."""

    def __init__(self, shortened: Shortened = lambda seconds: seconds / 100) -> None:
        super().__init__()
        self._shortened = shortened

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(self._shortened(seconds))
