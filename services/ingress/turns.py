"""Those who have proved nothing take turns: with being refused, and with bodies that must be read to tell who they are.

Who is told at once that a credential is wrong is back at once, and each costs what a good push costs.
"""

from typing import NamedTuple

from aiohttp import web

from hookline.clock import Clock

__all__ = ["LARGE_BODIES", "LONGEST_S", "REFUSALS", "Pace", "Turns"]

LONGEST_S = 5.0
"""Seconds that one waits at most, so that connections do not pile up."""


class Pace(NamedTuple):
    """at_once: without a wait where there were none lately."""

    a_second: int
    at_once: int


REFUSALS = Pace(a_second=50, at_once=100)
"""An operator who sets up a registry, or a registry with an old token, waits for nothing."""
LARGE_BODIES = Pace(a_second=20, at_once=40)


class Turns:
    """One row of one process, whatever addresses they come from: a proxy has one for all its clients."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._apart_s = 1 / pace.a_second
        self._kept_s = pace.at_once / pace.a_second
        self._clock = clock
        self._last = clock.monotonic() - self._kept_s
        """Seconds of the monotonic clock: when the last turn is, as far back as turns are kept."""

    async def turn(self, request: web.Request) -> None:
        """Return when it is this one's turn; meanwhile nothing of its body is read or kept."""
        now = self._clock.monotonic()
        turn = max(self._last, now - self._kept_s) + self._apart_s
        self._last = min(turn, now + LONGEST_S)
        if turn > now and (transport := request.transport) is not None and not transport.is_closing():
            transport.pause_reading()
            await self._clock.sleep(self._last - now)
            if not transport.is_closing():
                transport.resume_reading()
