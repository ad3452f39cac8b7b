"""Topics that an operator changes below a dispatcher that runs: made anew, deleted, or with less room."""

import asyncio

import pytest
from structlog.testing import capture_logs

from hookline.chain.events import ChainCompleted, HookDelivered
from hookline.errors import ForeignLog, TopicsUnfit
from hookline.log.records import Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.log.watch import LOOK_S, LogState
from hookline.testing.memory import MemoryCluster
from services.dispatcher.service import Dispatcher
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import LOG_ID, World, kill, plan, snapshots


@pytest.fixture
def world() -> World:
    """Without checkpoints: one that lands after its topic was made anew is for an operator to undo."""
    return World(MemoryCluster(1))


@pytest.fixture
def saving() -> World:
    """With many of them."""
    return World(MemoryCluster(1), checkpoint_events=3)


async def ended(dispatcher: Dispatcher, world: World) -> None:
    """Raises what ended it, as time goes by."""
    ending = asyncio.create_task(dispatcher.wait())
    await until(ending.done, pause_s=0.01, meanwhile=lambda: world.clock.advance(1))
    await ending


async def complete_one(world: World, completed: int) -> None:
    """A push whose chain runs to its end, the next after so many that did."""
    world.push(plan(1))
    await until(lambda: len(world.decisions(HookDelivered)) == completed + 1)
    (chain,) = [chain.id for chain in world.full_fold().chains.values() if chain.ending is None]
    world.verdict(chain)
    await until(lambda: len(world.decisions(ChainCompleted)) == completed + 1)


async def test_a_record_that_rests_on_one_that_is_gone_stops_its_partition_with_what_to_do(world: World) -> None:
    """Started again nobody knows that `pushes` was made anew; `test_lost_causes.py` has the rest."""
    async with world.running():
        await complete_one(world, 0)
    world.cluster.make_anew(Topic.PUSHES)
    dispatcher = world.dispatcher("b")
    await dispatcher.start()

    def said() -> bool:
        world.clock.advance(1)
        return "rests on pushes[0]@0, and pushes[0] ends at 0" in dispatcher.ready().detail

    await until(said)
    assert "delete commands, callbacks" in dispatcher.ready().detail
    await kill(dispatcher)


@pytest.mark.parametrize("topic", [Topic.CALLBACKS, Topic.COMMANDS, Topic.DELIVERIES])
async def test_a_log_that_was_made_anew_is_restored_from_what_there_is(world: World, topic: Topic) -> None:
    """Its records are gone. What was read of it is dropped with them, and new pushes are worked on."""
    async with world.running() as dispatcher:
        chain = world.push(plan(1))
        world.cancel("00000000-0000-4000-8000-000000000000-0-0-0")  # else nothing lies in `commands`
        await until(lambda: world.decisions(HookDelivered))
        world.verdict(world.only_chain())
        await until(lambda: world.decisions(ChainCompleted))
        with capture_logs() as lines:
            world.cluster.make_anew(topic)
            await until(lambda: any("has lost records" in line["event"] for line in lines))
        await until(lambda: dispatcher.ready().ok)
        new = world.push(plan(1))
        assert new.push_id != chain.push_id
        await until(lambda: any(post.webhook_id.startswith(new.push_id) for post in world.receivers.posts))


async def test_snapshots_that_are_made_anew_are_missed_by_nobody(saving: World) -> None:
    async with saving.running() as dispatcher:
        await complete_one(saving, 0)
        await until(lambda: snapshots(saving) > 0)
        saving.cluster.make_anew(Topic.SNAPSHOTS)
        await complete_one(saving, 1)
        await until(lambda: snapshots(saving) > 0)
        assert dispatcher.ready().ok


async def test_a_start_whose_snapshot_went_with_its_topic_folds_the_logs(saving: World) -> None:
    async with saving.running():
        await complete_one(saving, 0)
        await until(lambda: saving.cluster.membership(DISPATCHER_GROUP).commits)
    saving.cluster.make_anew(Topic.SNAPSHOTS)
    async with saving.running("b"):
        await complete_one(saving, 1)
    assert len(saving.receivers.posts) == 2, "what was done before is done"


@pytest.mark.parametrize(
    "error", [TopicsUnfit("there is no topic x.pushes"), ForeignLog("x.callbacks was made anew while this ran")]
)
async def test_what_only_a_restart_mends_ends_the_process(world: World, error: Exception) -> None:
    found: list[LogState | Exception] = [LogState(LOG_ID)]

    async def check() -> LogState:
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    async with world.running(check=check) as dispatcher:
        found[0] = error
        await asyncio.sleep(0)
        with pytest.raises(type(error)):
            await ended(dispatcher, world)


async def test_what_an_operator_must_mend_stands_in_readiness(world: World) -> None:
    found = LogState(LOG_ID, narrow=("x.deliveries has max.message.bytes=5",))

    async def check() -> LogState:
        return found

    async with world.running(check=check) as dispatcher:
        assert dispatcher.ready().ok
        assert dispatcher.ready().detail == "running 1 partitions; x.deliveries has max.message.bytes=5"
        found = LogState(LOG_ID, denied=("Kafka does not let us write to x.deliveries",))
        world.clock.advance(LOOK_S)
        await until(lambda: not dispatcher.ready().ok)
        assert "does not let us write to x.deliveries" in dispatcher.ready().detail
        found = LogState(LOG_ID)
        world.clock.advance(LOOK_S)
        await until(lambda: dispatcher.ready().ok)


async def test_a_snapshot_that_kafka_refuses_ends_no_incarnation(saving: World) -> None:
    """A restore would change nothing. The chains go on, and the next snapshot is written once there is room again."""
    saving.cluster.limits[Topic.SNAPSHOTS] = 1
    async with saving.running() as dispatcher:
        with capture_logs() as lines:
            await complete_one(saving, 0)
            await complete_one(saving, 1)
            await until(lambda: any("no checkpoint" in line["event"] for line in lines))
        assert not any("restoring" in line["event"] for line in lines)
        assert snapshots(saving) == 0
        assert dispatcher.ready().ok
        del saving.cluster.limits[Topic.SNAPSHOTS]
        await complete_one(saving, 2)
        await complete_one(saving, 3)
        await until(lambda: snapshots(saving) > 0)


async def test_what_is_stopped_because_it_is_another_log_leaves_no_checkpoint_of_the_old() -> None:
    """It would name positions that the new log does not have, and no later start would get past it."""
    saving = World(MemoryCluster(1), checkpoint_events=1_000)  # else one may be begun before it is noticed
    found: list[LogState | Exception] = [LogState(LOG_ID)]

    async def check() -> LogState:
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    async with saving.running(check=check) as dispatcher:
        saving.push(plan(1))
        await until(lambda: saving.decisions(HookDelivered))
        found[0] = ForeignLog("x.callbacks was made anew")
        with pytest.raises(ForeignLog):
            await ended(dispatcher, saving)
        before = dict(saving.cluster.membership(DISPATCHER_GROUP).commits)
        await dispatcher.stop()
        assert saving.cluster.membership(DISPATCHER_GROUP).commits == before
