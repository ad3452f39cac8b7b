"""Open loop: pushes at a fixed rate, one-hook chains without a final callback; how long until the hook is received.

Times count from when a push should have been sent, so that a stall is seen by every push that it holds up.
"""

import asyncio
import time

from bench.amounts import Amounts
from bench.figures import Figures, percentile
from bench.hooks import Hooks
from bench.load import Pool, Receiver, at_a_pace, insist
from bench.pushes import requests
from bench.systems import System

__all__ = ["Times", "measure", "push_at_a_pace"]


class Times:
    """By push, time.perf_counter(): when it should have been sent, and when ingress answered."""

    def __init__(self) -> None:
        self.intended: dict[int, float] = {}
        self.answered: dict[int, float] = {}
        self.refused = 0
        """Answers of 503; such a push was sent again."""


async def push_at_a_pace(waiting: list[bytes], first: int, per_s: float, port: int) -> Times:
    """Send them, numbered from `first`, and wait until all are accepted. Raises BenchFailed."""
    times, pool = Times(), Pool(port)
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()

    async def send(number: int) -> None:
        times.refused += await insist(pool.send, waiting[number], 202)
        times.answered[first + number] = time.perf_counter()

    def begin(number: int, intended: float) -> None:
        times.intended[first + number] = intended
        under_way.add(loop.create_task(send(number)))

    try:
        await at_a_pace(len(waiting), per_s, begin)
        await asyncio.gather(*under_way)
    finally:
        pool.close()
    return times


async def measure(amounts: Amounts, system: System) -> Figures:
    hooks, found = Hooks(), Figures()
    server, receiver = await Receiver.listen(hooks.seen)
    async with server, system(receiver) as on:
        port, number = on.ports["ingress"], 0
        for rate in amounts.open_rates:
            for seconds in (amounts.warm_up_s, amounts.open_s):
                numbers = range(number, number := number + round(rate * seconds))
                times = await push_at_a_pace(requests(numbers, port), numbers.start, rate, port)
                await hooks.until(number)
            taken = [(hooks.first[push] - at) * 1000 for push, at in times.intended.items()]
            acks = [(times.answered[push] - at) * 1000 for push, at in times.intended.items()]
            found |= {f"open.{rate}.p{p}_ms": percentile(taken, p) for p in (50, 95, 99)}
            found |= {f"open.{rate}.ack_p{p}_ms": percentile(acks, p) for p in (50, 95)}
            found[f"open.{rate}.refused"] = times.refused
    return found
