"""Slow neighbours: a tenth of the receivers take every hook and never answer; how long the hooks of the others take.

Each receiver is a host of its own (127.0.0.x) with a repository and a pipeline of its own.
"""

from contextlib import AsyncExitStack

from bench.amounts import Amounts
from bench.console import make_pipeline
from bench.figures import Figures, percentile
from bench.hooks import Hooks
from bench.load import Receiver, Silent
from bench.open import push_at_a_pace
from bench.pushes import requests
from bench.systems import hookline_stage

__all__ = ["measure"]

FIRST_HOST = 11
"""127.0.0.11 and on; all of 127/8 is loopback on Linux."""


async def measure(amounts: Amounts) -> Figures:
    alone = await p95_of_the_good(amounts, hanging=0)
    among = await p95_of_the_good(amounts, hanging=amounts.neighbours // 10)
    return {
        "neighbours.p95_alone_ms": alone,
        "neighbours.p95_ms": among,
        "neighbours.p95_ratio": among / alone,
    }


async def p95_of_the_good(amounts: Amounts, hanging: int) -> float:
    hooks, names = Hooks(), tuple(f"app{n}" for n in range(amounts.neighbours))
    async with AsyncExitStack() as stack:
        on = await stack.enter_async_context(hookline_stage())
        for n, name in enumerate(names):
            host = f"127.0.0.{FIRST_HOST + n}"
            server, port = await (Silent.listen(host) if n < hanging else Receiver.listen(hooks.seen, host))
            await stack.enter_async_context(server)
            url = f"http://{host}:{port}/1"
            await make_pipeline(on, [url], final_callback=False, name=name, timeout_s=amounts.neighbour_timeout_s)
        rate, number = amounts.neighbour_rate, 0
        # The warm-up lasts until as many hooks hang as ever will.
        for seconds in (amounts.warm_up_s + amounts.neighbour_timeout_s, amounts.neighbour_s):
            numbers = range(number, number := number + round(rate * seconds))
            times = await push_at_a_pace(
                requests(numbers, on.ports["ingress"], names), numbers.start, rate, on.ports["ingress"]
            )
            await hooks.until(sum(is_good(push, len(names), hanging) for push in range(number)))
        good = [push for push in times.intended if is_good(push, len(names), hanging)]
        return percentile([(hooks.first[push] - times.intended[push]) * 1000 for push in good], 95)


def is_good(push: int, receivers: int, hanging: int) -> bool:
    """`requests` gives pushes to repositories in turn; the first ones hang."""
    return push % receivers >= hanging
