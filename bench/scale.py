"""Scale out: one dispatcher, then a second one that joins and leaves under load, on the same topics.

What is lost (a push without a hook) or done twice is counted over the joining, both working, and the leaving.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable

from bench.amounts import Amounts
from bench.closed import Pushed, push_all
from bench.figures import Figures
from bench.hooks import Hooks
from bench.load import Receiver
from bench.pushes import requests
from bench.stage import Stage
from bench.systems import hookline_system, settled

__all__ = ["measure"]

FIRST, SECOND = "dispatcher", "dispatcher-2"
CHUNK = 500
SHARED_S = 2.0
"""How long both have worked under load before they are measured: the group has shared out the partitions by then."""


class Load:
    """Pushes with numbers that go on from phase to phase, and the hooks that came of them."""

    def __init__(self, on: Stage, hooks: Hooks, clients: int) -> None:
        self._on, self._hooks, self._clients = on, hooks, clients
        self.pushed = 0
        self.refused = 0

    async def push(self, count: int) -> float:
        """Hooks a second, from the first push to the last hook."""
        port = self._on.ports["ingress"]
        waiting = requests(range(self.pushed, self.pushed + count), port)
        began = time.perf_counter()
        self._count(await push_all(iter(waiting), port, self._clients))
        await self._hooks.have_come(self.pushed)
        return count / (time.perf_counter() - began)

    async def push_during(self, what: Awaitable[object]) -> None:
        """Push until that is done."""
        doing = asyncio.ensure_future(what)
        port = self._on.ports["ingress"]
        chunks = (requests(range(n, n + CHUNK), port) for n in itertools.count(self.pushed, CHUNK))
        until_done = itertools.takewhile(lambda _: not doing.done(), itertools.chain.from_iterable(chunks))
        try:
            self._count(await push_all(until_done, port, self._clients))
            await doing
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
        await self._hooks.have_come(self.pushed)

    def _count(self, pushed: Pushed) -> None:
        self.pushed += pushed.accepted
        self.refused += pushed.refused

    def result(self, dispatchers: int, per_s: float, cpu_ms: float) -> Figures:
        """`lost`, `duplicates` and `refused` are of all pushes so far."""
        return {
            f"scale.{dispatchers}.delivered_per_s": per_s,
            f"scale.{dispatchers}.lost": self.pushed - len(self._hooks.first),
            f"scale.{dispatchers}.duplicates": self._hooks.duplicates,
            f"scale.{dispatchers}.refused": self.refused,
            f"scale.{dispatchers}.dispatcher_cpu_ms_per_hook": cpu_ms,
        }


async def measure(amounts: Amounts) -> Figures:
    hooks = Hooks()
    server, receiver = await Receiver.listen(hooks.seen)
    async with server, hookline_system(receiver) as on:
        load, pushes = Load(on, hooks, amounts.clients), amounts.scale_pushes
        await load.push(amounts.warm_up_pushes)
        await settled(on, load.pushed)
        before = on.cpu_seconds()
        per_s = await load.push(pushes)
        spent = on.cpu_seconds()[FIRST] - before[FIRST]
        found = load.result(1, per_s, spent * 1000 / pushes)

        await load.push_during(on.start(SECOND, FIRST))
        await load.push_during(asyncio.sleep(SHARED_S))
        before = on.cpu_seconds()
        per_s = await load.push(pushes)
        after = on.cpu_seconds()
        each = {name: (after[name] - before[name]) * 1000 / pushes for name in (FIRST, SECOND)}
        await load.push_during(on.stop(SECOND))
        await settled(on, load.pushed)  # a hook done twice would have come by now
        return found | load.result(2, per_s, sum(each.values())) | {"scale.2.second_cpu_ms_per_hook": each[SECOND]}
