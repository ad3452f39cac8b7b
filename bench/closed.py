"""Closed loop: so many pushes by so many clients, one-hook chains without a final callback."""

import asyncio
import time
from collections.abc import Iterator

from bench.amounts import Amounts
from bench.failure import BenchFailed
from bench.figures import Figures
from bench.hooks import Hooks
from bench.load import Client, Receiver
from bench.pushes import requests
from bench.stage import KAFKA
from bench.systems import System, settled

__all__ = ["measure", "push_all"]


async def push_all(waiting: Iterator[bytes], port: int, clients: int, expected: int = 202) -> int:
    """How many there were. Each client sends its next when the last is answered. Raises BenchFailed for another answer."""

    async def run() -> int:
        client, sent = await Client.connect(port), 0
        for request in waiting:
            if (status := await client.send(request)) != expected:
                raise BenchFailed(f"a push was answered {status}")
            sent += 1
        client.close()
        return sent

    return sum(await asyncio.gather(*(run() for _ in range(clients))))


async def measure(amounts: Amounts, system: System) -> Figures:
    hooks = Hooks()
    server, receiver = await Receiver.listen(hooks.seen)
    async with server, system(receiver) as on:
        port, warm_up, pushes = on.ports["ingress"], amounts.warm_up_pushes, amounts.closed_pushes
        await push_all(iter(requests(range(warm_up), port)), port, amounts.clients)
        await hooks.until(warm_up)
        await settled(on, warm_up)
        waiting = requests(range(warm_up, warm_up + pushes), port)
        cpu, disk, began = on.cpu_seconds(), on.kept_bytes(), time.perf_counter()
        await push_all(iter(waiting), port, amounts.clients)
        accepted_s = time.perf_counter() - began
        await hooks.until(warm_up + pushes)
        delivered_s = time.perf_counter() - began
        lag_s = await settled(on, warm_up + pushes)
        spent = {name: (after - cpu[name]) * 1000 / pushes for name, after in on.cpu_seconds().items()}
        found = {
            "closed.accepted_per_s": pushes / accepted_s,
            "closed.delivered_per_s": pushes / delivered_s,
            "closed.cpu_ms_per_push": sum(spent.values()),
            **{f"closed.cpu_ms.{name}": ms for name, ms in spent.items()},
            **{f"closed.peak_mb.{name}": on.peak_memory(name) / 1e6 for name in (*on.processes, KAFKA)},
            "closed.disk_bytes_per_chain": (on.kept_bytes() - disk) / pushes,
            "closed.duplicates": hooks.duplicates,
        }
        return found if lag_s is None else found | {"closed.console_lag_s": lag_s}
