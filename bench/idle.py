"""Memory of services that have nothing to do: PSS, so that what processes share is counted once."""

import asyncio

from bench.amounts import Amounts
from bench.figures import Figures
from bench.load import Silent
from bench.systems import System

__all__ = ["measure"]


async def measure(amounts: Amounts, system: System) -> Figures:
    server, receiver = await Silent.listen()
    async with server, system(receiver) as on:
        await asyncio.sleep(amounts.idle_s)
        return {f"idle.{name}_mb": on.memory(name) / 1e6 for name in on.processes}
