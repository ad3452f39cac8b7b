"""The systems that are measured alike: Hookline with all its services, the floor, and the design's floor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from bench import design, floor
from bench.console import make_pipeline, seconds_until_shown
from bench.stage import SERVICES, Stage, stage

__all__ = ["System", "design_system", "floor_system", "hookline_stage", "hookline_system", "settled"]

System: TypeAlias = Callable[[int], AbstractAsyncContextManager[Stage]]
"""From a receiver's port to a stage whose `ports["ingress"]` takes Docker Hub's pushes, each of which ends as one hook there."""

FLOOR_SETTLES_S = 0.5


@contextlib.asynccontextmanager
async def hookline_stage(modules: Mapping[str, str] | None = None) -> AsyncIterator[Stage]:
    """All four services; no pipelines yet. `modules`: of services that another program stands in for."""
    async with stage() as on:
        for name in SERVICES:
            await on.start(name, module=(modules or {}).get(name))
        yield on


@contextlib.asynccontextmanager
async def hookline_system(receiver: int) -> AsyncIterator[Stage]:
    """All four services, and a pipeline of one hook without a final callback."""
    async with hookline_stage() as on:
        await make_pipeline(on, [f"http://127.0.0.1:{receiver}/1"], final_callback=False)
        yield on


@contextlib.asynccontextmanager
async def floor_system(receiver: int) -> AsyncIterator[Stage]:
    async with _programs("bench.floor", floor.PREFIX, floor.PARTS, receiver) as on:
        yield on


@contextlib.asynccontextmanager
async def design_system(receiver: int) -> AsyncIterator[Stage]:
    async with _programs("bench.design", design.PREFIX, design.PARTS, receiver) as on:
        yield on


@contextlib.asynccontextmanager
async def _programs(module: str, prefix: str, parts: Iterable[str], receiver: int) -> AsyncIterator[Stage]:
    async with stage(prefix=prefix) as on:
        for part in parts:
            told = ("--kafka", on.broker.bootstrap_servers, "--port", str(on.port(part)))
            await on.run(part, module, part, *told, "--hook", f"http://127.0.0.1:{receiver}/1")
        yield on


async def settled(on: Stage, chains: int) -> float | None:
    """Wait until all that so many chains make to do is done; for how many seconds the console did not show it, if there is one."""
    if "console" in on.processes:
        return await seconds_until_shown(on, chains)
    await asyncio.sleep(FLOOR_SETTLES_S)  # the last decisions' acks
    return None
