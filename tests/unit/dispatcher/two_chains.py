"""Rounds of two chains: the victim's, for which something raises, and a good one that must not feel it."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from structlog.testing import capture_logs

from hookline.chain.events import Event, Plan
from hookline.chain.ids import ChainId
from hookline.log.records import RawRecord
from hookline.web.hook_url import HookUrl
from services.dispatcher.service import Dispatcher
from tests.kit.events import cancel
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import plan, push_received, worker_of
from tests.unit.dispatcher.injection import VICTIM, Injector

__all__ = ["ANSWERS", "Answer", "Logs", "TwoChains"]

Answer = Callable[[HookUrl], Sequence[bytes]]
HOOKS = count()
WITHIN_S = 20.0


def _failing(_: HookUrl) -> Sequence[bytes]:
    head = b"HTTP/1.1 503 victim\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head[:30], head[30:] + b"6\r\nvictim\r\n0\r\n\r\n"]


# Each has the victim's name in it, so that it shows whose it is.
ANSWERS: dict[str, Answer] = {
    "delivered": lambda _: [b"HTTP/1.1 200 victim\r\nKeep-Alive: timeout=9\r\nContent-Length: 6\r\n\r\nvictim"],
    "503 with a date": _failing,
    "308": lambda _: [b"HTTP/1.1 308 victim\r\nLocation: https://elsewhere.test/x?y=1\r\nContent-Length: 0\r\n\r\n"],
    "cut short": lambda _: [b"HTTP/1.1 victim"],
    "no HTTP": lambda _: [b"SSH-2.0 victim\r\n"],
}


class Logs(Protocol):
    """Partition 0 of a cluster, in memory or real, to which only the test appends pushes."""

    def deliveries(self) -> Sequence[RawRecord]:
        """Those that have come so far."""

    async def append(self, event: Event) -> None: ...


class TwoChains:
    """A running dispatcher of one partition, whose hooks' hosts are `victim-<n>.test` and `good-<n>.test`."""

    def __init__(self, logs: Logs, dispatcher: Dispatcher, now_ms: Callable[[], int], port: int = 80) -> None:
        self.dispatcher = dispatcher
        self.token = worker_of(dispatcher).token
        self.answer: Answer = ANSWERS["delivered"]
        """What the victim's receiver says."""
        self._logs = logs
        self._now_ms = now_ms
        self._port = port
        self._pushes = 0

    async def round(self, answer: Answer, arm: Callable[[str], None]) -> str:
        """Push both; the victim's chain, once the good one is over and something has become of the victim's.

        arm: called with the victim's chain before its push is there.
        """
        self.answer = answer
        victim = self._next_chain()
        arm(victim)
        await self._push(plan(1, delays=(0,), final=False), VICTIM)
        good = self._next_chain()
        await self._push(plan(1, final=False), "good")
        await until(lambda: self.is_over(good), WITHIN_S)
        await until(lambda: self.is_recorded(victim) or self.is_aside(victim), WITHIN_S)
        assert worker_of(self.dispatcher).token == self.token, "the incarnation goes on"
        return victim

    async def end(self, chain_id: str) -> None:
        """Cancel it, if it is not over: it can be ended, whatever was wrong with it."""
        if not self.is_over(chain_id):
            await self._logs.append(cancel(chain_id, at=self._now_ms()))
        await until(lambda: self.is_over(chain_id), WITHIN_S)

    async def survive(self, answer: Answer, at_least: int) -> None:
        """Find all functions that are called on the way from deciding to recording, and let each raise for the victim."""
        with Injector("good") as found:
            victim = await self.round(answer, lambda chain_id: found.watch(chain_id, VICTIM))
            await until(lambda: self.is_settled(victim), WITHIN_S)
            found.disarm()
        await self.end(victim)
        assert len(found.functions) >= at_least, found.functions
        for function in sorted(found.functions):
            with Injector("good") as injector, capture_logs() as logged:
                victim = await self.round(answer, injector.arming(function))
                # Some come after what a round waits for.
                await until(lambda name=function, raised=injector.raised: raised[name] > 0, WITHIN_S)
                injector.disarm()
            said = [line for line in logged if line["log_level"] == "error" and line.get("chain", victim) == victim]
            assert said or self.is_recorded(victim), f"{function}: nobody is told"
            await self.end(victim)

    def is_aside(self, chain_id: str) -> bool:
        return any(chain_id in words for words in self.dispatcher.ready().troubles)

    def is_over(self, chain_id: str) -> bool:
        return self._has(chain_id, "ChainHalted", "ChainCompleted")

    def is_recorded(self, chain_id: str) -> bool:
        return self._has(chain_id, "HookAttemptFailed", "HookDelivered", "ChainHalted")

    def is_settled(self, chain_id: str) -> bool:
        """Does nothing more become of it but by its receiver? A last failed attempt is sealed, and halts it."""
        return self._has(chain_id, "HookDelivered", "ChainHalted")

    def _has(self, chain_id: str, *kinds: str) -> bool:
        """Is one of these in the log? From its headers alone: the log is looked at all the time."""
        wanted = {f"hookline.{kind}.v1".encode() for kind in kinds}
        return any(
            raw.headers["ce_subject"] == chain_id.encode() and raw.headers["ce_type"] in wanted
            for raw in self._logs.deliveries()
        )

    def _next_chain(self) -> str:
        return str(ChainId(f"00000000-0000-4000-8000-{self._pushes:012d}", self._pushes, 0, 0))

    async def _push(self, made: Plan, name: str) -> None:
        """With a new hook each time: what is known of one is remembered."""
        number = next(HOOKS)
        hook = made.hooks[0].model_copy(
            update={"id": f"{name}-{number}", "url": f"http://{name}-{number}.test:{self._port}/"}
        )
        changed = made.model_copy(update={"hooks": (hook,), "timeout_s": 1, "pipeline_id": name})
        push_id = ChainId.parse(self._next_chain()).push_id
        self._pushes += 1
        await self._logs.append(push_received(self._now_ms(), changed, push_id=push_id))
