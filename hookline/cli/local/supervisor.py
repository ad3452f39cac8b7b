"""Keeps one unit (a service's process, the broker) running: starts it, waits until it is ready, starts it again when it dies."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from hookline.clock import Clock
from hookline.errors import HooklineError, ProcessFailed
from hookline.web.health import Status

__all__ = ["RestartPolicy", "Supervisor", "Unit", "Witness"]

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
TRIES = 5
"""Deaths in a row before it was ready after which it is given up: that ends `hookline up`, or it goes on without (design section 6)."""
SLOW_PAUSE_S = 30.0
"""Between two tries of a unit that was given up, and that the rest does without."""
POLL_S = 0.1


class Unit(Protocol):
    """What can be started, asked whether it is ready, watched and stopped."""

    @property
    def name(self) -> str: ...

    async def start(self) -> None:
        """Start it. Raises HooklineError when that cannot work."""

    async def ready(self) -> Status: ...

    async def ended(self) -> str:
        """Wait until it is dead; how it died, in words."""

    def last_lines(self) -> Sequence[str]:
        """What it said last, for people."""


class Witness(Protocol):
    """Is told what happens to a unit."""

    def became_ready(self, unit: Unit, after_s: float) -> None: ...

    def is_waiting(self, unit: Unit, detail: str, for_s: float) -> None:
        """Not ready, seconds after it was started; called when the reason changes."""

    def died(self, unit: Unit, how: str, pause_s: float) -> None:
        """It will be started again after the pause."""

    def given_up(self, unit: Unit, how: str, pause_s: float) -> None:
        """It cannot stay up, and the rest goes on without it. It is tried again after each pause, in silence until it is ready."""


@dataclass
class RestartPolicy:
    """How long to wait before the next start: 0.2 s doubling to 5 s, from the beginning once it was ready."""

    deaths: int = 0
    """In a row, before it was ready."""

    def after_death(self, was_ready: bool) -> float | None:
        """Seconds to wait; None when it died TRIES times running before it was ready."""
        if was_ready:
            self.deaths = 0
            return FIRST_PAUSE_S
        self.deaths += 1
        if self.deaths >= TRIES:
            return None
        return min(FIRST_PAUSE_S * 2.0 ** (self.deaths - 1), LONGEST_PAUSE_S)


class Supervisor:
    """Of one unit. `first_ready` is set once it has been ready, `first_outcome` then or once it was given up.

    is_needed: what cannot stay up ends `keep`; else it is tried on, slowly.
    """

    def __init__(self, unit: Unit, clock: Clock, witness: Witness, *, is_needed: bool = True) -> None:
        self.unit = unit
        self.first_ready = asyncio.Event()
        self.first_outcome = asyncio.Event()
        self.is_needed = is_needed
        self.is_given_up = False
        self._clock = clock
        self._witness = witness

    async def keep(self) -> NoReturn:
        """Run until cancelled (the unit then still runs).

        Where it is needed: raises ProcessFailed, and what its very first start raises.
        """
        policy = RestartPolicy()
        while True:
            was_ready, how = await self._live_once()
            pause_s = policy.after_death(was_ready)
            if pause_s is None:
                pause_s = self._give_up(how)
            else:
                self._witness.died(self.unit, how, pause_s)
            await self._clock.sleep(pause_s)

    def _give_up(self, how: str) -> float:
        """Seconds until it is tried again all the same. Raises ProcessFailed where it is needed."""
        if self.is_needed:
            raise ProcessFailed(self._last_words(how))
        if not self.is_given_up:
            self._witness.given_up(self.unit, how, SLOW_PAUSE_S)
        self.is_given_up = True
        self.first_outcome.set()
        return SLOW_PAUSE_S

    async def _live_once(self) -> tuple[bool, str]:
        began = self._clock.monotonic()
        try:
            await self.unit.start()
        except HooklineError as error:
            if self.is_needed and not self.first_ready.is_set():
                raise  # it never worked: trying again would only say it five times
            return False, str(error)
        death = asyncio.create_task(self.unit.ended())
        readiness = asyncio.create_task(self._until_ready(began))
        try:
            await asyncio.wait({death, readiness}, return_when=asyncio.FIRST_COMPLETED)
            was_ready = readiness.done() and not death.done()
            if was_ready:
                readiness.result()
                self.is_given_up = False
                self.first_ready.set()
                self.first_outcome.set()
                self._witness.became_ready(self.unit, self._clock.monotonic() - began)
            return was_ready, await death
        finally:
            await _cancel(death, readiness)

    async def _until_ready(self, began: float) -> None:
        said = ""
        while not (status := await self.unit.ready()).ok:
            if status.detail != said:
                said = status.detail
                self._witness.is_waiting(self.unit, said, self._clock.monotonic() - began)
            await self._clock.sleep(POLL_S)

    def _last_words(self, how: str) -> str:
        lines = "\n".join(f"    {line}" for line in self.unit.last_lines()) or "    (it said nothing)"
        return f"{self.unit.name} ended {TRIES} times before it was ready, the last time with {how}. It said:\n{lines}"


async def _cancel(*tasks: asyncio.Task[str] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
