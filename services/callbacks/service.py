"""callbacks as a service: restores, reads on and answers; says how far it is."""

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.log.cluster import Cluster
from hookline.log.skew import ClockSkew
from hookline.log.watch import CheckLog, LogState
from hookline.log.writer import Writer
from hookline.settings import MAX_CLOCK_SKEW_S, IPNetwork
from hookline.web.health import Status
from hookline.web.log_service import LogService
from hookline.web.tasks import until_one_ends
from services.callbacks.app import make_app
from services.callbacks.gate import Gate
from services.callbacks.replica import Replica

__all__ = ["CallbacksService"]


class CallbacksService(LogService):
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
        super().__init__(clock, cluster, check_log)
        self.app = make_app(keys, lambda: self._gate, clock, trusted_proxies)
        self._skew = ClockSkew(clock, max_skew_s, "a verdict that seems too late is answered 503")
        self._gate: Gate | None = None
        self._replica: Replica | None = None

    @property
    def gate(self) -> Gate | None:
        """None until Kafka has answered."""
        return self._gate

    def ready(self) -> Status:
        """Not while it cannot read or write, whatever was read before: others may fare better, and an operator must know."""
        if self._replica is None:
            return Status(False, self.watch.noted(self.connecting or "starting"))
        parts = (self.watch.denied, self._replica.progress(), self._skew.words())
        said = "; ".join(part for part in parts if part)
        is_ready = self._replica.current and self._replica.reads and not self.watch.denied
        return Status(is_ready, self.watch.noted(said))

    async def work(self, state: LogState) -> None:
        partitions = await self.count_partitions()
        replica = self._replica = Replica(
            self.cluster, partitions, state.log_id, self.clock, self.watch.hurry, self.beat
        )
        writer = Writer(self.cluster, self.clock, self.watch.hurry, self._skew)
        writer.start()
        self._gate = Gate(replica, writer, lambda: self._skew.doubtful)
        try:
            await until_one_ends(replica.run(), replica.watch_lag(), self.watch.run())
        finally:
            await writer.close()
