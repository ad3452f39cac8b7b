"""What is on its way while something else happens: an append, a snapshot, the logs' ends, a poll (design section 4).

Each test holds one thing still at the moment at which a rule is needed; scenarios of the model are named where one is the like.
"""

import asyncio
from collections.abc import Coroutine

import pytest

from hookline.chain.events import ChainCompleted, ChainHalted, HaltReason, HookDelivered, StepClosing
from hookline.errors import AppendFailed, LogUnavailable
from hookline.log.cluster import Commit
from hookline.log.records import Draft, Place, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.testing.faults import Faults
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from services.dispatcher.service import MEASURE_S
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import Gated, World, member_of, plan, stop_polling, worker_of
from tests.unit.dispatcher.test_incarnations import fold_of, packed

PUSHES, DELIVERIES = Place(Topic.PUSHES, 0), Place(Topic.DELIVERIES, 0)


class OneByOne(Faults):
    """Nothing goes wrong, but a poll delivers one record of a log."""

    def fetched(self, available: int) -> int:
        return min(1, available)


@pytest.fixture
def cluster() -> Gated:
    return Gated(1, faults=OneByOne(0, held=0, late=0, refused=0, unanswered=0, split=0))


@pytest.fixture
def world(cluster: Gated) -> World:
    return World(cluster, checkpoint_events=3)


def kind(draft: Draft) -> str:
    return draft.headers["ce_type"].decode().split(".")[1]


def committed(world: World) -> dict[Place, Commit]:
    return world.cluster.membership(DISPATCHER_GROUP).commits


async def some_polls(world: World) -> None:
    """Time for what must not happen."""
    await asyncio.sleep(20 * world.pace.poll_s)


async def test_no_commit_names_a_snapshot_whose_last_record_is_on_its_way(world: World, cluster: Gated) -> None:
    """Scenario image: whoever restored from it would lose what was not written."""

    async def hold_the_last(draft: Draft) -> None:
        if "last" in draft.headers:
            await asyncio.Event().wait()

    cluster.before = hold_the_last
    async with world.running("a"):
        for _ in range(4):
            world.push(plan(1))
        await until(lambda: cluster.log(Place(Topic.SNAPSHOTS, 0)))
        await some_polls(world)
    assert committed(world) == {}


async def test_a_commit_has_the_positions_of_its_snapshots_instant(world: World, cluster: Gated) -> None:
    """Scenario image-1w: the chains move on while their snapshot is written."""
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold_snapshots(draft: Draft) -> None:
        if draft.place.topic is Topic.SNAPSHOTS:
            held.set()
            await go_on.wait()

    cluster.before = hold_snapshots
    async with world.running("a"):
        for _ in range(4):
            world.push(plan(1))
        await held.wait()
        world.push(plan(1))
        await until(lambda: len(world.decisions(HookDelivered)) == 5)
        await some_polls(world)
        go_on.set()
        await until(lambda: committed(world))
    async with world.running("b") as dispatcher:
        assert packed(fold_of(dispatcher)) == packed(world.full_fold())


async def test_the_ends_of_a_restore_are_taken_after_its_fence(world: World, cluster: Gated) -> None:
    """Scenario ends: what the owner before could still write below our Fence is read before anything is POSTed."""
    answered = world.receivers.hold()

    async def first_let_the_other_write(draft: Draft) -> None:
        if kind(draft) == "Fence":
            answered.set()
            await until(lambda: world.decisions(HookDelivered))

    async with world.running("a") as zombie:
        world.push(plan(1))
        await until(lambda: world.receivers.posts)
        await stop_polling(world, zombie)
        world.cluster.membership(DISPATCHER_GROUP).dissolve()
        cluster.before = first_let_the_other_write
        async with world.running("b"):
            world.verdict(world.only_chain())
            await until(lambda: world.decisions(ChainCompleted))
    assert len(world.receivers.posts) == 1


async def test_nothing_is_posted_before_a_restore_has_read_what_is_there(world: World) -> None:
    async with world.running("a"):
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
    async with world.running("b"):
        world.verdict(world.only_chain())
        await until(lambda: world.decisions(ChainCompleted))
    assert len(world.receivers.posts) == 1


async def test_a_decision_counts_when_it_is_read_back_and_not_at_its_ack(world: World, cluster: Gated) -> None:
    """Scenario ack-fold: between the two another one's Fence may have made it void."""
    async with world.running("a") as dispatcher:
        consumer = member_of(world, dispatcher)
        consumer.pause(DELIVERIES)
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
        await some_polls(world)
        (chain,) = fold_of(dispatcher).chains.values()
        assert chain.step(1).expires_at is None
        consumer.resume(DELIVERIES)
        await until(lambda: packed(fold_of(dispatcher)) == packed(world.full_fold()))


async def test_a_decision_that_is_not_acked_ends_the_incarnation(world: World, cluster: Gated) -> None:
    """Rule 5: else the chain would wait forever for what never comes."""
    lost = []

    async def lose_the_first(draft: Draft) -> None:
        if kind(draft) == "HookDelivered" and not lost:
            lost.append(draft)
            raise AppendFailed("no ack")

    cluster.before = lose_the_first
    async with world.running("a"):
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
    assert len(world.receivers.ids) == 2
    assert len(set(world.receivers.ids)) == 1


async def test_no_post_begins_long_after_the_last_poll(world: World) -> None:
    """Rule 6: a process that was stopped may have lost its partitions."""
    answered = world.receivers.hold()
    async with world.running("a") as dispatcher:
        for _ in range(33):
            world.push(plan(1))
        await until(lambda: len(world.receivers.posts) == 32)
        await until(lambda: dispatcher.slots.waiting == 1)
        await stop_polling(world, dispatcher)
        world.clock.advance(11)
        answered.set()
        await until(lambda: len(world.decisions(HookDelivered)) == 32)
        await some_polls(world)
    assert len(world.receivers.posts) == 32


async def test_a_deletion_without_an_answer_waits_for_the_next_checkpoint(world: World, cluster: Gated) -> None:
    """It is no reason to drop a worker's memory."""
    unanswered = []
    delete_below = cluster.delete_below

    def fail_the_first(place: Place, offset: int) -> None:
        if not unanswered:
            unanswered.append(offset)
            raise LogUnavailable("no answer")
        delete_below(place, offset)

    cluster.delete_below = fail_the_first  # type: ignore[method-assign]
    async with world.running("a") as dispatcher:
        token = worker_of(dispatcher).token
        while not cluster.start(Place(Topic.SNAPSHOTS, 0)):
            world.push(plan(1))
            pushes = len(cluster.log(PUSHES))
            await until(lambda n=pushes: len(world.decisions(HookDelivered)) == n)
        assert worker_of(dispatcher).token == token
    assert unanswered
    assert cluster.start(Place(Topic.SNAPSHOTS, 0)) > unanswered[0]


async def test_a_post_that_is_called_off_before_it_began_gives_its_place_back(world: World) -> None:
    """Else a receiver's places are all taken some day, by nobody."""
    async with world.running("a") as dispatcher:
        worker = worker_of(dispatcher)
        spawn = worker.spawn

        def call_off(work: Coroutine[None, None, None], *on_error: object) -> asyncio.Task[None]:
            task = spawn(work)
            task.cancel()
            return task

        worker.spawn = call_off  # type: ignore[method-assign]
        world.push(plan(1))
        await until(lambda: worker.fold.chains)
        await some_polls(world)
        assert world.receivers.posts == []
        assert dispatcher.slots.in_flight == 0


async def test_a_timer_that_is_overdue_while_a_dispatcher_drains_wakes_nobody(world: World) -> None:
    """Nothing is decided any more then: the poll loop turned round and round, and nothing else in its process did."""
    answered = world.receivers.hold(lambda post: len(world.receivers.posts) > 1)
    dispatcher = world.dispatcher("a")
    await dispatcher.start()
    await until(lambda: dispatcher.ready().ok)
    world.push(plan(1, deadline_s=60))
    await until(lambda: dispatcher.partitions[0].next_due)
    world.push(plan(1))
    await until(lambda: len(world.receivers.posts) == 2)
    stopping = asyncio.create_task(dispatcher.stop())
    world.clock.advance(61)
    await some_polls(world)
    assert not stopping.done()
    assert dispatcher.poll_for_s() == world.pace.poll_s
    answered.set()
    await stopping
    assert len(world.decisions(HookDelivered)) == 2


async def test_a_dispatcher_whose_clock_is_behind_makes_no_post_whose_callback_url_has_expired(world: World) -> None:
    """Its receiver's verdict would be refused for good. A longer deadline leaves time for one."""
    world.cluster.clock = ManualClock(world.clock.now_ms() + 120_000)
    async with world.running("a") as dispatcher:
        assert "this clock is 120 s behind the brokers'" in dispatcher.ready().detail
        assert "no hook is called" in dispatcher.ready().detail
        world.push(plan(1, deadline_s=120))
        world.push(plan(1, deadline_s=121))
        await until(lambda: world.receivers.posts)
        await some_polls(world)
        assert len(world.receivers.posts) == 1
        world.clock.advance(120)
        await until(lambda: len(world.receivers.posts) == 2)


@pytest.mark.parametrize("off_s", [25 * 3600, 61])
async def test_a_dispatcher_whose_clock_is_ahead_closes_nothing_until_it_is_right(off_s: int) -> None:
    """POSTs and verdicts go on meanwhile; what an ack tells is told in readiness. Nothing is read when it is right again."""
    world = World(MemoryCluster(1))
    world.push(plan(1, deadline_s=60))
    async with world.running():
        await until(lambda: world.decisions(HookDelivered))
    world.cluster.clock = brokers = ManualClock(world.clock.now_ms())
    world.clock.advance(off_s)
    async with world.running("b") as dispatcher:
        assert f"this clock is {off_s} s ahead of the brokers'" in dispatcher.ready().detail
        assert "no step is closed at its deadline" in dispatcher.ready().detail
        event = world.push(plan(2, deadline_s=60))
        await until(lambda: len(world.receivers.posts) == 2)
        world.verdict(next(c for c in world.full_fold().chains if c.startswith(event.push_id)))
        await until(lambda: len(world.receivers.posts) == 3)
        world.clock.advance(100)
        await until(lambda: len(world.decisions(HookDelivered)) == 3)
        await some_polls(world)
        assert world.decisions(StepClosing) == []
        brokers.advance(off_s + 100)
        world.clock.advance(MEASURE_S)
        await until(lambda: len(world.decisions(ChainHalted)) == 2)
        assert "clock" not in dispatcher.ready().detail
    assert {record.event.reason for record in world.decisions(ChainHalted)} == {HaltReason.CALLBACK_TIMEOUT}
