"""What every service that lives by the log shares: it connects until Kafka answers, works, says that it is alive, stops in order."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable
from hookline.log.cluster import Cluster
from hookline.log.reader_status import RETRY_S
from hookline.log.records import Topic
from hookline.log.watch import CheckLog, LogState, LogWatch
from hookline.web.health import Status

__all__ = ["DEAD_LOOP_S", "LogService"]

log = structlog.get_logger()

T = TypeVar("T")

DEAD_LOOP_S = 60.0
"""Liveness: a loop that has not come round for so long is stuck, whatever Kafka or a database does."""


class LogService(ABC):
    """`hookline.web.service.Service`, all but `name`, `app` and `ready`. A subclass has its work in `work` and `close`."""

    def __init__(self, clock: Clock, cluster: Cluster, check_log: CheckLog) -> None:
        self.clock = clock
        self.cluster = cluster
        self.watch = LogWatch(check_log, clock)
        self.connecting = "connecting to Kafka"
        """What it waits for before it can work; "" from then on."""
        self._main: asyncio.Task[None] | None = None
        self._end: asyncio.Future[None] | None = None
        self._beat_at = clock.monotonic()

    @abstractmethod
    async def work(self, state: LogState) -> None:
        """All that it does, once Kafka has said how the topics are, until cancelled. Calls `beat` in each round of its main loop.

        Raises what a restart may mend, and what an operator must; whatever it raises ends the process.
        """

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """After `work`: let go of what was made before it."""

    async def start(self) -> None:
        self._end = asyncio.get_running_loop().create_future()
        self._main = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Raises TopicsUnfit, ForeignLog, and what `work` raises."""
        assert self._main is not None, "started first"
        assert self._end is not None, "started first"
        done, _ = await asyncio.wait({self._main, self._end}, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()

    async def stop(self) -> None:
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait({self._main})
        await self.close()

    def end(self, error: Exception) -> None:
        """What a restart would not mend: end the process with its words. What is under way goes on until `stop`."""
        if self._end is not None and not self._end.done():
            self._end.set_exception(error)

    @property
    def has_ended(self) -> bool:
        """Is its work over, for whatever reason?"""
        return self._main is not None and self._main.done()

    @property
    def is_ending(self) -> bool:
        """Was `end` called?"""
        return self._end is not None and self._end.done()

    def beat(self) -> None:
        """Its main loop has come round."""
        self._beat_at = self.clock.monotonic()

    @property
    def beat_age_s(self) -> float:
        return self.clock.monotonic() - self._beat_at

    def live(self) -> Status:
        """Not whether Kafka answers: that is for readiness."""
        said = "stopped" if self.has_ended else f"its loop came round {self.beat_age_s:.1f} s ago"
        return Status(self.beat_age_s < DEAD_LOOP_S and not self.has_ended, said)

    async def _run(self) -> None:
        await self.work(await self._until_answered(self.watch.look))

    async def count_partitions(self) -> int:
        """How many the four logs have, as soon as Kafka says. Raises TopicsUnfit."""
        return await self._until_answered(lambda: self.cluster.partitions(Topic.PUSHES))

    async def _until_answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                answer = await ask()
            except LogUnavailable as error:
                self.connecting = f"connecting to Kafka: {error}"
                log.warning("Kafka does not answer", reason=str(error))
            else:
                self.connecting = ""
                return answer
            self.beat()
            await self.clock.sleep(RETRY_S)
