"""The two systems that are measured alike: Hookline with all its services, and the floor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from bench import floor
from bench.console import make_pipeline, seconds_until_shown
from bench.stage import SERVICES, Stage, stage

__all__ = ["System", "floor_system", "hookline_stage", "hookline_system", "settled"]

System: TypeAlias = Callable[[int], AbstractAsyncContextManager[Stage]]
"""From a receiver's port to a stage whose `ports["ingress"]` takes Docker Hub's pushes, each of which ends as one hook there."""

FLOOR_SETTLES_S = 0.5


@contextlib.asynccontextmanager
async def hookline_stage() -> AsyncIterator[Stage]:
    """All four services; no pipelines yet."""
    async with stage() as on:
        for name in SERVICES:
            await on.start(name)
        yield on


@contextlib.asynccontextmanager
async def hookline_system(receiver: int) -> AsyncIterator[Stage]:
    """All four services, and a pipeline of one hook without a final callback."""
    async with hookline_stage() as on:
        await make_pipeline(on, [f"http://127.0.0.1:{receiver}/1"], final_callback=False)
        yield on


@contextlib.asynccontextmanager
async def floor_system(receiver: int) -> AsyncIterator[Stage]:
    async with stage(prefix=floor.PREFIX) as on:
        for part in ("ingress", "dispatcher"):
            told = ("--kafka", on.broker.bootstrap_servers, "--port", str(on.ports[part]))
            await on.run(part, "bench.floor", part, *told, "--hook", f"http://127.0.0.1:{receiver}/1")
        yield on


async def settled(on: Stage, chains: int) -> float | None:
    """Wait until all that so many chains make to do is done; for how many seconds the console did not show it, if there is one."""
    if "console" in on.processes:
        return await seconds_until_shown(on, chains)
    await asyncio.sleep(FLOOR_SETTLES_S)  # the last decisions' acks
    return None
