"""The harness's own floor: the generator straight to a receiver, both in this process, as in every measurement."""

import time

from bench.amounts import Amounts
from bench.closed import push_all
from bench.figures import Figures
from bench.hooks import Hooks
from bench.load import Receiver
from bench.pushes import requests

__all__ = ["measure"]

TIMES = 3


async def measure(amounts: Amounts) -> Figures:
    hooks = Hooks()
    server, port = await Receiver.listen(hooks.seen)
    async with server:
        waiting = requests(range(amounts.closed_pushes), port)
        began = time.perf_counter()
        for _ in range(TIMES):
            await push_all(iter(waiting), port, amounts.clients, expected=200)
        return {"harness.per_s": TIMES * len(waiting) / (time.perf_counter() - began)}
