"""Refusals take turns: who is told at once that a credential is wrong is back at once, and each costs what a good push costs."""

from aiohttp import web

from hookline.clock import Clock
from hookline.web.token_bucket import TokenBucket

__all__ = ["AT_ONCE", "A_SECOND", "LONGEST_S", "Turns"]

A_SECOND = 50
AT_ONCE = 100
"""Told without a wait where there were none lately: an operator who sets up a registry, a registry with an old token."""
LONGEST_S = 5.0
"""Seconds that one waits at most, so that connections do not pile up."""


class Turns:
    """One row of one process, whatever addresses they come from: a proxy has one for all its clients."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns = TokenBucket.full(AT_ONCE, A_SECOND, clock.monotonic())

    async def turn(self, request: web.Request) -> None:
        """Return when this one may be refused.

        At once where more of its body is coming: what is not read meanwhile would lie in the kernel's buffers, megabytes for
        each, and count as ours (an ingress of 256 MiB was killed).
        """
        self._turns.fill(self._clock.monotonic())
        self._turns.take(least=-LONGEST_S * A_SECOND)
        if self._turns.left < 0 and request.content.is_eof():
            await self._clock.sleep(self._turns.wait_s(0))
