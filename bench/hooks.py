"""What came to a receiver: counted by push, with the time at which each came first."""

import asyncio
import time
from collections.abc import Collection

from bench.failure import BenchFailed
from bench.pushes import number_of

__all__ = ["Hooks"]

GIVE_UP_S = 120.0
LOOK_S = 0.05


class Hooks:
    """`seen` is what a `Receiver` is told to call."""

    def __init__(self) -> None:
        self.first: dict[int, float] = {}
        """By push, the time.perf_counter() of its first hook."""
        self.posts = 0
        self._wanted = 0
        self._came = asyncio.Event()

    @property
    def duplicates(self) -> int:
        return self.posts - len(self.first)

    def seen(self, at: float, head: bytes, body: bytes) -> None:
        self.first.setdefault(number_of(body), at)
        self.posts += 1
        if len(self.first) >= self._wanted:
            self._came.set()

    async def until(self, pushes: int) -> None:
        """Until hooks of so many pushes have come. Raises BenchFailed when they do not."""
        if not await self.have_come(pushes):
            raise BenchFailed(f"hooks of {len(self.first)} of {pushes} pushes came within {GIVE_UP_S:g} s")

    async def until_all(self, pushes: Collection[int]) -> None:
        """Until hooks of these pushes have come, whatever came of others. Raises BenchFailed when they do not."""
        give_up = time.monotonic() + GIVE_UP_S
        while missing := [push for push in pushes if push not in self.first]:
            if time.monotonic() > give_up:
                raise BenchFailed(
                    f"hooks of {len(missing)} of {len(pushes)} pushes did not come within {GIVE_UP_S:g} s"
                )
            await asyncio.sleep(LOOK_S)

    async def have_come(self, pushes: int) -> bool:
        """Wait for hooks of so many pushes; False when they do not come."""
        self._wanted = pushes
        self._came.clear()
        if len(self.first) >= pushes:
            return True
        try:
            await asyncio.wait_for(self._came.wait(), GIVE_UP_S)
        except TimeoutError:
            return False
        return True
