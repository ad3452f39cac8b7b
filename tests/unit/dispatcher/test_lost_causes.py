"""A record that waits for one which its topic has lost: its partition stops, and goes on once the cause is there."""

import asyncio
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from hookline.chain.events import ChainCompleted, Fence, HookDelivered
from hookline.log.causes import LostCause
from hookline.log.reader import Wait
from hookline.log.records import Place, Topic
from hookline.testing.memory import MemoryCluster
from services.dispatcher.partition import State
from services.dispatcher.service import Dispatcher
from tests.kit.events import fence
from tests.kit.waiting import until
from tests.metric_values import halted
from tests.unit.dispatcher.harness import World, kill


@pytest.fixture
def world() -> World:
    return World(MemoryCluster(2))


def verdict_of_a_lost_push(world: World, offset: int) -> None:
    """In partition 0, on the push at that offset."""
    world.verdict(f"{uuid4()}-{offset}-0-0", partition=0)


async def as_time_goes_by(world: World, dispatcher: Dispatcher, state: State) -> None:
    """Until partition 0 is in that state; as slowly as a loop that polls all the time needs."""

    def come() -> bool:
        world.clock.advance(1)
        return dispatcher.partitions[0].state is state

    await until(come)


def fences(world: World, partition: int) -> int:
    return len(world.decisions(Fence, partition))


@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "while it runs"])
async def test_its_partition_stops_and_no_other_until_the_cause_is_there(world: World, *, at_start: bool) -> None:
    if at_start:
        verdict_of_a_lost_push(world, 1)
    dispatcher = world.dispatcher()
    await dispatcher.start()
    ending = asyncio.create_task(dispatcher.wait())
    await until(lambda: len(dispatcher.partitions) == 2 and dispatcher.partitions[1].state is State.RUNNING)
    if not at_start:
        await until(lambda: dispatcher.ready().ok)
        verdict_of_a_lost_push(world, 1)
    with capture_logs() as lines:
        await as_time_goes_by(world, dispatcher, State.STOPPED)
        assert not dispatcher.ready().ok
        assert "0: stopped: callbacks[0]@0 rests on pushes[0]@1, and pushes[0] ends at 0" in dispatcher.ready().detail
        assert halted("dispatcher") == 1
        here, there = world.push(partition=0), world.push(partition=1)
        await until(lambda: world.decisions(HookDelivered, 1))
        for _ in range(60):  # a minute and more: it neither begins anew nor says it again
            world.clock.advance(2)
            await asyncio.sleep(world.pace.poll_s)
        assert [post.webhook_id.startswith(there.push_id) for post in world.receivers.posts] == [True]
        assert dispatcher.partitions[0].state is State.STOPPED
        assert "pushes[0] ends at 1" in dispatcher.ready().detail
        world.push(partition=0)
        await as_time_goes_by(world, dispatcher, State.RUNNING)
        await until(lambda: len(world.decisions(HookDelivered)) == 2)
    assert dispatcher.ready().ok
    assert halted("dispatcher") == 0
    assert sum("the cause of a record is lost" in line["event"] for line in lines) == 1
    assert (fences(world, 0), fences(world, 1)) == (1, 1), "it kept its token"
    world.verdict(f"{here.push_id}-0-0-0")
    await until(lambda: world.decisions(ChainCompleted))
    assert not ending.done(), "the process goes on"
    ending.cancel()
    await kill(dispatcher)


def lost() -> LostCause:
    return LostCause(0, Wait(Topic.CALLBACKS, 0, Topic.PUSHES, 5, 1), 0)


async def test_what_is_revoked_meanwhile_begins_nothing_until_it_is_assigned_again(world: World) -> None:
    async with world.running() as dispatcher:
        partition = dispatcher.partitions[0]
        partition.lack(lost())
        assert (partition.state, halted("dispatcher")) == (State.STOPPED, 1)
        partition.lack(None)
        partition.park()
        world.push(partition=1)
        await until(lambda: world.decisions(HookDelivered, 1))
        assert partition.state is not State.RUNNING, "it has asked for the ends, and is at them"
        world.push(partition=0)
        partition.unpark()
        await until(lambda: world.decisions(HookDelivered, 0))
        assert fences(world, 0) == 1


async def test_one_that_is_revoked_while_it_is_stopped_is_parked_and_reads_on_afterwards(world: World) -> None:
    async with world.running() as dispatcher:
        partition = dispatcher.partitions[0]
        partition.lack(lost())
        partition.park()
        assert (partition.state, halted("dispatcher")) == (State.PARKED, 0)
        partition.unpark()
        await until(lambda: dispatcher.ready().ok)


async def test_an_incarnation_that_ends_while_it_is_stopped_takes_that_with_it(world: World) -> None:
    async with world.running() as dispatcher:
        partition = dispatcher.partitions[0]
        partition.lack(lost())
        world.append(fence("another"), 0)
        await until(lambda: dispatcher.ready().ok)
        assert (fences(world, 0), halted("dispatcher")) == (3, 0)
        assert world.cluster.end(Place(Topic.DELIVERIES, 0)) == 3
