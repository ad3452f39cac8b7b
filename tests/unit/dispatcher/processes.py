"""Dispatchers as an operating system sees them: killed at any await, stopped and woken, with clocks that jump; in virtual time.

Whatever leaves a process (an append, a poll, a commit, a POST) passes its guard, before and after. There it can be killed,
so that nothing more of it happens; what it had sent may still land. Nothing here takes real time, and one plan gives one run.
"""

import asyncio
import inspect
import selectors
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from pydantic import SecretStr

from hookline.errors import AppendFailed, LogUnavailable
from hookline.log.records import Draft
from hookline.log.watch import LogState
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory_group import MemoryGroup
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.service import Dispatcher
from services.dispatcher.worker import Worker
from tests.unit.dispatcher.harness import KEY, LOG_ID, World

LATE_S = 0.3
"""Longer than a partition waits before it restores."""

Answer = Callable[["Process", HookPost], Awaitable[Outcome]]


class _Jump(selectors.SelectSelector):
    """Never waits: says that so much time has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("nothing will ever happen any more")
        self.passed += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """When nothing is ready, time jumps to the next timer."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed


class JumpingClock:
    """A world's clock, moved by `skew_ms`; the monotonic one stays with the world."""

    def __init__(self, world: ManualClock) -> None:
        self.skew_ms = 0
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms() + self.skew_ms

    def monotonic(self) -> float:
        return self._world.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Process:
    """One dispatcher. `passed`: the points it came by, each an await from which something leaves it or comes back."""

    def __init__(self, world: World, name: str, answer: Answer, kill_at: Callable[[int, str], bool]) -> None:
        self.name = name
        self.clock = JumpingClock(world.clock)
        self.passed: list[str] = []
        self.dead = self.stopped = False
        self.kill_at = kill_at
        """Is it killed at that point? Its number, from 0, and its name."""
        self.loses: Callable[[str], bool] = lambda said: False
        """Does that append get no answer, and land when its sender has long given up?"""
        self._buried = False
        self._ending: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._groups: list[MemoryGroup] = []
        self._cluster = world.cluster

        async def check() -> LogState:
            return LogState(LOG_ID)

        settings = Settings(
            master_keys=(SecretStr(KEY),), public_callback_url="http://callbacks.test", group_instance_id=name
        )
        self.dispatcher = Dispatcher(
            settings, self.clock, self, Random(world.seed), check, lambda: _Sender(self, answer), world.pace
        )

    # ---- what happens to it

    def kill(self) -> None:
        """kill -9: from now on it does nothing, and hears nothing."""
        self.dead = True

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def wake(self) -> None:
        self.stopped = False
        self._free()

    def terminate(self) -> None:
        """SIGTERM: it finishes what it has begun, leaves the group, and is gone."""

        async def end() -> None:
            await self.dispatcher.stop()
            self.dead = True

        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(end())

    def expire(self) -> None:
        """Its session with the group is over; if it lives, it learns so at its next poll, and joins again."""
        for group in self._groups:
            group.expire(for_good=self.dead)

    def land_late(self, draft: Draft) -> None:
        asyncio.get_running_loop().call_later(LATE_S, self._cluster.append, draft)

    async def bury(self) -> None:
        """Clear its tasks away, which wait forever."""
        self.dead = self._buried = True
        self.expire()
        for waiting in self._waiting:
            waiting.cancel()
        if self._ending is not None:
            self._ending.cancel()
        await self.dispatcher.abandon()

    @property
    def worker(self) -> Worker | None:
        """Of partition 0."""
        partition = self.dispatcher.partitions.get(0)
        return partition.worker if partition is not None else None

    async def passes(self, point: str) -> None:
        """Come by a point; who is dead or stopped goes no further."""
        if self._buried:
            raise LogUnavailable("it is over")
        if self.kill_at(len(self.passed), point):
            self.kill()
        self.passed.append(point)
        while self.dead or self.stopped:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]

    def _free(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # ---- its cluster

    async def producer(self) -> Any:
        return _Guard(self, await self._cluster.producer())

    async def consumer(self) -> Any:
        return _Guard(self, await self._cluster.consumer())

    async def offsets(self) -> Any:
        return _Guard(self, await self._cluster.offsets())

    async def group(self, group: str, listener: Any) -> Any:
        await self.passes("before join")  # who was killed before its first turn is no member that holds a partition
        member = await self._cluster.group(group, listener)
        assert isinstance(member, MemoryGroup)
        self._groups.append(member)
        return _Guard(self, member)

    async def partitions(self, topic: Any) -> int:
        return await self._cluster.partitions(topic)


class _Guard:
    """A client whose awaits pass their process, before and after."""

    def __init__(self, process: Process, client: object) -> None:
        self._process = process
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not inspect.iscoroutinefunction(method) or name == "close":
            return method

        async def guarded(*given: Any, **named: Any) -> Any:
            said = _said(name, given)
            await self._process.passes(f"before {said}")
            if said.startswith("append ") and self._process.loses(said):
                self._process.land_late(*given)
                raise AppendFailed("no answer")
            got = await method(*given, **named)
            await self._process.passes(f"after {said}")
            return got

        return guarded


def _said(name: str, given: tuple[Any, ...]) -> str:
    if not (given and isinstance(given[0], Draft)):
        return name
    headers = given[0].headers
    kind = headers["ce_type"].decode().split(".")[1]
    return f"append {kind}{' (last)' if 'last' in headers else ''}"


class _Sender:
    """Its HTTP client."""

    def __init__(self, process: Process, answer: Answer) -> None:
        self._process = process
        self._answer = answer

    async def post(self, post: HookPost) -> Outcome:
        await self._process.passes("before post")
        outcome = await self._answer(self._process, post)
        await self._process.passes("after post")
        return outcome

    async def close(self) -> None: ...
