"""Giving partitions up, at a rebalance and at SIGTERM: what was begun is finished and written, nothing more is begun."""

import asyncio

import pytest

from hookline.chain.events import Fence, HookDelivered
from hookline.log.records import Draft
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import Gated, World

TURNS = 50


@pytest.fixture
def world() -> World:
    return World(Gated(2))


@pytest.fixture
def answered(world: World) -> asyncio.Event:
    """Set: receivers answer."""
    return world.receivers.hold()


async def stays_open(task: "asyncio.Task[None]") -> bool:
    for _ in range(TURNS):
        await asyncio.sleep(0.001)
    return not task.done()


async def test_a_rebalance_waits_for_open_posts_and_their_events(world: World, answered: asyncio.Event) -> None:
    async with world.running() as dispatcher:
        world.push()
        await until(lambda: world.receivers.posts)
        dispatcher.revoked()
        settling = asyncio.create_task(dispatcher.quiesced())
        world.push()  # not begun any more
        assert await stays_open(settling)
        answered.set()
        await settling
        assert len(world.decisions(HookDelivered)) == len(world.receivers.posts) == 1


async def test_sigterm_in_the_middle_of_a_rebalance(world: World, answered: asyncio.Event) -> None:
    dispatcher = world.dispatcher()
    await dispatcher.start()
    await until(lambda: dispatcher.ready().ok)
    world.push()
    await until(lambda: world.receivers.posts)
    dispatcher.revoked()
    stopping = asyncio.create_task(dispatcher.stop())
    assert await stays_open(stopping)
    answered.set()
    await stopping
    assert len(world.decisions(HookDelivered)) == 1


async def test_while_it_stops_no_partition_is_taken_and_none_goes_on(world: World, answered: asyncio.Event) -> None:
    """Another dispatcher may stop at the same moment: the group gives us what was its own."""
    async with world.running("a") as dispatcher, world.running("b"):
        await until(lambda: len(dispatcher.partitions) == 1 and dispatcher.ready().ok)
        (mine,) = dispatcher.partitions
        world.push(partition=mine)
        await until(lambda: world.receivers.posts)
        fences = [len(fences_of(world, partition)) for partition in (0, 1)]
        stopping = asyncio.create_task(dispatcher.stop())
        await asyncio.sleep(0)
        dispatcher.revoked()
        dispatcher.assigned(frozenset({0, 1}))
        world.push(partition=mine)
        assert await stays_open(stopping)
        assert [len(fences_of(world, partition)) for partition in (0, 1)] == fences
        answered.set()
        await stopping
        assert len(world.receivers.posts) == 1


async def test_a_rebalance_waits_for_a_fence_that_is_on_its_way(world: World) -> None:
    """Landing after the next owner's it would end that one's work, with its POSTs open."""
    async with world.running("a") as dispatcher, world.running("b"):
        await until(lambda: len(dispatcher.partitions) == 1 and dispatcher.ready().ok)
        landed = asyncio.Event()
        hold(world, landed)
        dispatcher.assigned(frozenset({0, 1}))
        await asyncio.sleep(0)
        dispatcher.revoked()
        settling = asyncio.create_task(dispatcher.quiesced())
        assert await stays_open(settling)
        landed.set()
        await settling


def fences_of(world: World, partition: int) -> list[object]:
    return [read for read in world.reads(partition) if isinstance(read.record.event, Fence)]


def hold(world: World, landed: asyncio.Event) -> None:
    """Every Fence, until it may land."""

    async def held(draft: Draft) -> None:
        if draft.headers["ce_type"] == b"hookline.Fence.v1":
            await landed.wait()

    assert isinstance(world.cluster, Gated)
    world.cluster.before = held
