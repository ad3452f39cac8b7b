"""Closed loop: so many pushes by so many clients, one-hook chains without a final callback."""

import asyncio
import time
from collections.abc import Iterator
from typing import NamedTuple

from bench.amounts import Amounts
from bench.figures import Figures
from bench.hooks import Hooks
from bench.load import Client, Receiver, insist
from bench.pushes import requests
from bench.stage import KAFKA
from bench.systems import System, settled

__all__ = ["Pushed", "measure", "push_all"]


class Pushed(NamedTuple):
    """`refused`: answers of 503; such a push was sent again."""

    accepted: int
    refused: int


async def push_all(waiting: Iterator[bytes], port: int, clients: int, expected: int = 202) -> Pushed:
    """Each client sends its next when the last is accepted. Raises BenchFailed for an answer that is neither `expected` nor 503."""

    async def run() -> list[int]:
        client = await Client.connect(port)
        refused = [await insist(client.send, request, expected) for request in waiting]
        client.close()
        return refused

    refused = [each for of_one in await asyncio.gather(*(run() for _ in range(clients))) for each in of_one]
    return Pushed(len(refused), sum(refused))


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
        pushed = await push_all(iter(waiting), port, amounts.clients)
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
            "closed.refused": pushed.refused,
        }
        return found if lag_s is None else found | {"closed.console_lag_s": lag_s}
