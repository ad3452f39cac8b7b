"""A console with an empty or a full world, a visitor that is signed in, and one that is not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.unit.console.running import Running, running
from tests.unit.console_pages.visiting import Visitor, visiting
from tests.unit.console_pages.world import World, seed


@pytest_asyncio.fixture
async def console(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as console:
        yield console


@pytest_asyncio.fixture
async def world(console: Running) -> World:
    return await seed(console)


@pytest_asyncio.fixture
async def stranger(console: Running) -> AsyncIterator[Visitor]:
    async with visiting(console.base) as visitor:
        yield visitor


@pytest_asyncio.fixture
async def visitor(console: Running) -> AsyncIterator[Visitor]:
    """Sign in after the world is made: it moves the clock."""
    async with visiting(console.base) as visitor:
        assert (await visitor.log_in()).status == 303
        yield visitor
