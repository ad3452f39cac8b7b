"""callbacks as a service: connects, restores, reads on and answers; says how far it is."""

import asyncio
from uuid import UUID

import structlog

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.errors import LogUnavailable
from hookline.log.cluster import Cluster
from hookline.log.records import Topic
from hookline.log.skew import ClockSkew
from hookline.log.watch import CheckLog, LogWatch
from hookline.log.writer import Writer
from hookline.settings import MAX_CLOCK_SKEW_S, IPNetwork
from hookline.web.health import Status
from hookline.web.tasks import until_one_ends
from services.callbacks.app import make_app
from services.callbacks.gate import Gate
from services.callbacks.replica import RETRY_S, Replica

__all__ = ["CallbacksService"]

log = structlog.get_logger()

DEAD_POLL_S = 60.0
"""Liveness: a poll loop that has not come round for so long is stuck, whatever the broker does."""


class CallbacksService:
    """`hookline.web.service.Service`."""

    name = "callbacks"

    def __init__(
        self,
        keys: KeyRing,
        clock: Clock,
        cluster: Cluster,
        check_log: CheckLog,
        max_skew_s: float = MAX_CLOCK_SKEW_S,
        trusted_proxies: tuple[IPNetwork, ...] = (),
    ) -> None:
        self.app = make_app(keys, lambda: self._gate, clock, trusted_proxies)
        self._clock = clock
        self._cluster = cluster
        self._watch = LogWatch(check_log, clock)
        self._skew = ClockSkew(clock, max_skew_s, "a verdict that seems too late is answered 503")
        self._gate: Gate | None = None
        self._replica: Replica | None = None
        self._main: asyncio.Task[None] | None = None
        self._detail = "connecting to Kafka"
        self._tried_at = clock.monotonic()

    @property
    def gate(self) -> Gate | None:
        """None until Kafka has answered."""
        return self._gate

    async def start(self) -> None:
        self._main = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Raises TopicsUnfit, ForeignLog."""
        assert self._main is not None, "started first"
        await asyncio.wait({self._main})
        self._main.result()

    async def stop(self) -> None:
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait({self._main})

    def ready(self) -> Status:
        """Not while it cannot read or write, whatever was read before: others may fare better, and an operator must know."""
        if self._replica is None:
            return Status(False, self._watch.noted(self._detail))
        parts = (self._watch.denied, self._replica.progress(), self._skew.words())
        said = "; ".join(part for part in parts if part)
        is_ready = self._replica.current and self._replica.reads and not self._watch.denied
        return Status(is_ready, self._watch.noted(said))

    def live(self) -> Status:
        came_round = self._tried_at if self._replica is None else self._replica.came_round_at
        age = self._clock.monotonic() - came_round
        return Status(age < DEAD_POLL_S, f"last completed poll {age:.1f} s ago")

    async def _run(self) -> None:
        log_id, partitions = await self._connect()
        replica = self._replica = Replica(self._cluster, partitions, log_id, self._clock, self._watch.hurry)
        writer = Writer(self._cluster, self._clock, self._watch.hurry, self._skew)
        writer.start()
        self._gate = Gate(replica, writer, lambda: self._skew.doubtful)
        try:
            await until_one_ends(replica.run(), replica.watch_lag(), self._watch.run())
        finally:
            await writer.close()

    async def _connect(self) -> tuple[UUID, int]:
        """The log's id and its number of partitions, as soon as Kafka says. Raises TopicsUnfit."""
        while True:
            try:
                return (await self._watch.look()).log_id, await self._cluster.partitions(Topic.CALLBACKS)
            except LogUnavailable as error:
                self._detail = f"connecting to Kafka: {error}"
                log.warning("Kafka does not answer", reason=str(error))
            self._tried_at = self._clock.monotonic()
            await self._clock.sleep(RETRY_S)
