"""Slow neighbours: hooks that take a POST and never answer, or whose name no name server answers for; and how long the
others' hooks take.

Each measurement pushes to the good hooks and to some that stand in for the slow ones; then, in the same run and at the same
rate, to the good ones and the slow ones.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple, TypeAlias

from bench.amounts import Amounts
from bench.console import make_pipeline
from bench.figures import Figures, percentile
from bench.hooks import Hooks
from bench.load import LOOPBACK, SILENT_PATH, Receiver
from bench.open import push_at_a_pace
from bench.pushes import requests
from bench.stage import Stage
from bench.systems import hookline_stage

__all__ = ["measure"]

FIRST_HOST = 11
"""127.0.0.11 and on; all of 127/8 is loopback on Linux."""
PERCENTS = (50, 95, 99)


class Receivers:
    """Listening on each host from the first time on that its port is asked for."""

    def __init__(self, stack: AsyncExitStack, hooks: Hooks) -> None:
        self._stack = stack
        self._hooks = hooks
        self._ports: dict[str, int] = {}

    async def port(self, host: str) -> int:
        if host not in self._ports:
            server, self._ports[host] = await Receiver.listen(self._hooks.seen, host)
            await self._stack.enter_async_context(server)
        return self._ports[host]


async def of_a_host_each(receivers: Receivers, path: str, n: int) -> str:
    host = f"127.0.0.{FIRST_HOST + n}"
    return f"http://{host}:{await receivers.port(host)}{path}"


async def of_one_host(receivers: Receivers, path: str, n: int) -> str:
    return f"http://{LOOPBACK}:{await receivers.port(LOOPBACK)}{path}/{n}"


async def of_a_name_each(receivers: Receivers, path: str, n: int) -> str:
    """For `bench.names`."""
    name = "silent" if path == SILENT_PATH else "good"
    return f"http://{name}-{n}.test:{await receivers.port(LOOPBACK)}/1"


Url: TypeAlias = Callable[[Receivers, str, int], Awaitable[str]]


class Kind(NamedTuple):
    """So many hooks that are good, and so many slow; each is a repository's of its own."""

    good: int
    slow: int
    url: Url
    dispatcher: str = "services.dispatcher"


KINDS = {
    "two_hosts": Kind(18, 2, of_a_host_each),
    "eight_hosts": Kind(12, 8, of_a_host_each),
    "same_host": Kind(18, 2, of_one_host),
    "names": Kind(20, 20, of_a_name_each, "bench.names"),
}


async def measure(amounts: Amounts) -> Figures:
    found = Figures()
    for name, kind in KINDS.items():
        found |= {f"neighbours.{name}.{key}": value for key, value in (await measure_kind(amounts, kind)).items()}
    return found


async def measure_kind(amounts: Amounts, kind: Kind) -> Figures:
    async with AsyncExitStack() as stack:
        on = await stack.enter_async_context(hookline_stage({"dispatcher": kind.dispatcher}))
        hooks = Hooks()
        receivers, run = Receivers(stack, hooks), _Run(amounts, on, hooks)
        good = await run.make(kind.good, partial(kind.url, receivers, "/1"))
        standing_in = await run.make(kind.slow, partial(kind.url, receivers, "/1"))
        slow = await run.make(kind.slow, partial(kind.url, receivers, SILENT_PATH))
        alone = await run.times_of(good, standing_in, amounts.warm_up_s)
        # This warm-up lasts until as many hooks are waited for as ever will be.
        among = await run.times_of(good, slow, amounts.warm_up_s + amounts.neighbour_timeout_s)
    return {
        **{f"p{p}_alone_ms": percentile(alone, p) for p in PERCENTS},
        **{f"p{p}_ms": percentile(among, p) for p in PERCENTS},
        **{f"p{p}_ratio": percentile(among, p) / percentile(alone, p) for p in PERCENTS},
    }


class _Run:
    """Pushes to repositories of one stage, numbered on."""

    def __init__(self, amounts: Amounts, on: Stage, hooks: Hooks) -> None:
        self._amounts = amounts
        self._on = on
        self._hooks = hooks
        self._repositories = 0
        self._pushes = 0

    async def make(self, how_many: int, url: Callable[[int], Awaitable[str]]) -> tuple[str, ...]:
        """Repositories, each with a pipeline of one hook."""
        made = []
        for _ in range(how_many):
            number, self._repositories = self._repositories, self._repositories + 1
            made.append(f"app{number}")
            await make_pipeline(
                self._on, [await url(number)], final_callback=False, name=made[-1], timeout_s=self._amounts.neighbour_timeout_s
            )  # fmt: skip
        return tuple(made)

    async def times_of(self, good: tuple[str, ...], others: tuple[str, ...], warm_up_s: float) -> list[float]:
        """Milliseconds until the hooks of the good ones are received, while the others are pushed to as well."""
        names, port, rate = good + others, self._on.ports["ingress"], self._amounts.neighbour_rate
        for seconds in (warm_up_s, self._amounts.neighbour_s):
            numbers = range(self._pushes, self._pushes + round(rate * seconds))
            self._pushes = numbers.stop
            times = await push_at_a_pace(requests(numbers, port, names), numbers.start, rate, port)
            # `requests` gives pushes to the names in turn.
            of_the_good = [number for number in numbers if names[number % len(names)] in good]
            await self._hooks.until_all(of_the_good)
        return [(self._hooks.first[number] - times.intended[number]) * 1000 for number in of_the_good]
