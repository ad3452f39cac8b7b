"""The whole system on this machine: broker, topics, four services; started in order, kept running, stopped in order."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from hookline.cli.local.supervisor import Supervisor, Unit, Witness
from hookline.cli.local.units import BrokerUnit, ServiceUnit
from hookline.clock import Clock
from hookline.errors import HooklineError

__all__ = ["LocalSystem", "Voice"]

STOP_GRACE_S = 10.0
"""What a service gets to end its requests before it is killed."""
PATIENCE_S = 60.0
"""How long all else waits for a service that it does without to get ready, before it is said that the rest is."""
STOP_ORDER = ("console", "ingress", "callbacks", "dispatcher")
"""First who takes things in, last who works them off; the broker after all of them."""


class Voice(Witness, Protocol):
    """Tells the user."""

    def topics_fit(self, done: Sequence[str]) -> None:
        """`done`: what had to be made, one sentence each."""

    def all_ready(self, without: Sequence[str] = ()) -> None:
        """`without`: services that the rest does without, and that are not ready."""

    def stopping(self) -> None: ...

    def had_to_kill(self, name: str) -> None: ...

    def stopped(self) -> None: ...


class LocalSystem:
    """Broker (None: Kafka is elsewhere), topics and services. `run` it once.

    dispensable: names of services that the rest does without. One that cannot stay up ends all, but for these.
    """

    def __init__(
        self,
        broker: BrokerUnit | None,
        make_topics: Callable[[], Awaitable[Sequence[str]]],
        services: Sequence[ServiceUnit],
        clock: Clock,
        voice: Voice,
        dispensable: Collection[str] = (),
    ) -> None:
        self._broker = broker
        self._make_topics = make_topics
        self._services = services
        self._clock = clock
        self._voice = voice
        self._dispensable = dispensable
        self._hurry = False
        self.broker_is_busy = False
        """After `run`: a thread of the broker still downloads, and only the end of the process ends that."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; then all is stopped. Raises HooklineError when it cannot go on; all is stopped then too."""
        work = asyncio.create_task(self._work())
        halt = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({work, halt}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            halt.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)  # what ended it is on its way already
            await self._stop()

    def hurry(self) -> None:
        """Stop at once: kill every service instead of waiting for it."""
        self._hurry = True
        for service in self._services:
            service.child.kill()

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                if self._broker is not None:
                    await self._keep(group, self._broker).first_ready.wait()
                self._voice.topics_fit(await self._make_topics())
                kept = [self._keep(group, service) for service in self._services]
                for supervisor in kept:
                    if supervisor.is_needed:
                        await supervisor.first_ready.wait()
                await self._first_outcomes([supervisor for supervisor in kept if not supervisor.is_needed])
                self._voice.all_ready([s.unit.name for s in kept if not s.first_ready.is_set()])
        except* HooklineError as failed:
            raise _first(failed) from None

    def _keep(self, group: asyncio.TaskGroup, unit: Unit) -> Supervisor:
        supervisor = Supervisor(unit, self._clock, self._voice, is_needed=unit.name not in self._dispensable)
        group.create_task(supervisor.keep())
        return supervisor

    async def _first_outcomes(self, supervisors: Sequence[Supervisor]) -> None:
        """Wait until each of them was ready once or is given up, but not for long."""

        async def all_known() -> None:
            for supervisor in supervisors:
                await supervisor.first_outcome.wait()

        waits = {asyncio.create_task(all_known()), asyncio.create_task(self._clock.sleep(PATIENCE_S))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _stop(self) -> None:
        self._voice.stopping()
        by_name = {service.name: service for service in self._services}
        for name in STOP_ORDER:
            if name in by_name and not await by_name[name].child.stop(0 if self._hurry else STOP_GRACE_S):
                self._voice.had_to_kill(name)
        if self._broker is not None:
            self.broker_is_busy = not await self._broker.stop()
        self._voice.stopped()


def _first(group: BaseExceptionGroup[HooklineError]) -> HooklineError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, HooklineError)
    return error
