"""What the log decides of the table of answers (design section 6), over real HTTP: a test for each status, and what a replica makes
of what it has not read yet. Each row of what was read is in `test_answers.py`."""

import asyncio

import pytest

from hookline.chain.events import HaltReason
from hookline.chain.ids import ChainId, partition_of
from hookline.log.records import Topic
from tests.kit.waiting import until
from tests.unit.callbacks.scripted import ScriptedCluster
from tests.unit.callbacks.world import HOUR_MS, RunningReplica, World


def states(world: World, chain_id: ChainId) -> list[str]:
    return [event.state.value for _, event in world.callbacks(chain_id)]


def is_over(replica: RunningReplica, chain_id: ChainId) -> bool:
    """Has it read the chain's end?"""
    tails = replica.replica.tails
    chain = tails[partition_of(chain_id.push_id, len(tails))].chain(str(chain_id))
    return chain is not None and chain.ending is not None


# ---- a verdict or a seal of that step is known


async def test_seal_there() -> None:
    """From the seal on, whether the chain was halted or not: nothing is appended, and no end offset is asked for."""
    cluster = ScriptedCluster()
    world = World(cluster)
    chain, over = world.push(), world.push()
    for each in (chain, over):
        world.sealed(each, 1, world.closing(each, 1))
    world.halted(over, 1, HaltReason.CALLBACK_TIMEOUT)
    async with world.replica() as replica:
        await replica.caught_up()
        before = cluster.ends_asked
        for each in (chain, over):
            for state in ("success", "failure"):
                assert await replica.post(each, 1, state) == 400
                assert await replica.post(each, 1, state, expires_in_ms=-1) == 400
        assert await replica.post(chain, 2, "success") == 200  # the seal is its step's
        assert cluster.ends_asked == before
    assert [event for _, event in world.callbacks(over)] == []


async def test_first_verdict_has_another_state() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        assert await replica.post(chain, 1, "success") == 400
        assert await replica.post(chain, 1, "error") == 400
        assert await replica.post(chain, 1, "failure") == 200
    assert states(world, chain) == ["failure"]


# ---- none is


async def test_none_there_and_token_expired() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 400
        assert states(world, chain) == []
        assert await replica.post(chain, 1, "success", expires_in_ms=0) == 200


# ---- else: append, read it back, and answer by what lies below it


async def test_else_append_whatever_came_first() -> None:
    """Early (before its HookDelivered), after it, and for a later step, whose turn has not come: each is the log's to judge."""
    world = World()
    early, delivered = world.push(), world.push()
    world.delivered(delivered, 1)
    async with world.replica() as replica:
        assert await replica.post(early, 1, "success") == 200
        assert await replica.post(early, 2, "error") == 200
        assert await replica.post(delivered, 1, "success") == 200
    assert states(world, early) == ["success", "error"]


async def test_append_holds_what_was_sent() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        body = {"state": "error", "description": "387 tests", "context": "CI", "target_url": "https://ci.test/1"}
        answer = await replica.client.post(world.path(chain, 1), json=body)
        assert answer.status == 200
    ((_, event),) = world.callbacks(chain)
    assert event.model_dump(mode="json", exclude={"received_at", "cause"}) == body | {
        "chain_id": str(chain),
        "step": 1,
        "remote_ip": "127.0.0.1",
    }
    assert (event.received_at, event.cause) == (world.clock.now_ms(), chain.cause)


async def test_a_later_run_is_another_chain() -> None:
    world = World()
    chain = world.push()
    run = world.rerun(chain, from_step=2)
    async with world.replica() as replica:
        assert await replica.post(run, 2, "failure") == 200
        assert await replica.post(chain, 2, "success") == 200
    ((_, event),) = world.callbacks(run)
    assert event.cause == run.run - 1


async def test_append_from_a_stale_tail_is_judged_by_what_lies_before_it() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.CALLBACKS)
        world.verdict(chain, 1, "failure")  # by another replica
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: len(world.callbacks(chain)) == 2)
        cluster.release(Topic.CALLBACKS)
        assert await posting == 400
        assert await replica.post(chain, 1, "failure") == 200


@pytest.mark.parametrize("held", [(Topic.CALLBACKS,), (Topic.DELIVERIES,), (Topic.CALLBACKS, Topic.DELIVERIES)])
@pytest.mark.parametrize("halted", [True, False])
async def test_append_above_and_below_a_seal(held: tuple[Topic, ...], halted: bool) -> None:
    """Whatever of it the replica has not read: the order in `callbacks` decides, and nothing else."""
    cluster = ScriptedCluster()
    world = World(cluster)
    lost, saved = world.push(), world.push()
    async with world.replica() as replica:
        await replica.caught_up()
        cluster.hold(*held, Topic.CALLBACKS)
        intents = {chain: world.failed(chain, 1) for chain in (lost, saved)}
        world.sealed(lost, 1, intents[lost])
        if halted:
            world.halted(lost, 1, HaltReason.DELIVERY_FAILED)
        posts = [asyncio.create_task(replica.post(chain, 1, "success")) for chain in (lost, saved)]
        if Topic.DELIVERIES in held or not halted:  # else the chain is known to be over: nothing is appended
            await until(lambda: bool(world.callbacks(lost)))
        await until(lambda: bool(world.callbacks(saved)))
        world.sealed(saved, 1, intents[saved])  # the worker had not read the verdict
        cluster.release(*held, Topic.CALLBACKS)
        assert await asyncio.gather(*posts) == [400, 200]
        await replica.caught_up()
        assert await replica.post(lost, 1, "success") == 400
        assert await replica.post(saved, 1, "success") == 200
        assert await replica.post(saved, 2, "success") == 200


async def test_append_to_a_chain_that_a_user_cancelled_meanwhile() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.DELIVERIES)
        world.cancel(chain)
        world.halted(chain, 1, HaltReason.CANCELLED)
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: len(world.callbacks(chain)) == 1)
        cluster.release(Topic.DELIVERIES)
        assert await posting == 200  # first verdict of its step; no seal overruled it
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 1, "failure") == 400


# ---- over, expired or unknown: `callbacks` is read to its end first


@pytest.mark.parametrize("why", ["expired", "halted", "completed", "cancelled"])
async def test_too_late_and_a_verdict_that_a_stale_tail_has_not_read_counts(why: str) -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain, silent = world.push(), world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.CALLBACKS)
        world.verdict(chain, 1, "success")  # by another replica, which answered 200
        for each in (chain, silent):
            match why:
                case "halted":
                    world.halted(each, 2, HaltReason.DELIVERY_FAILED)
                case "completed":
                    world.completed(each)
                case "cancelled":
                    world.cancel(each)
                    world.halted(each, 2, HaltReason.CANCELLED)
        if why != "expired":
            await until(lambda: all(is_over(replica, each) for each in (chain, silent)))
        before = cluster.ends_asked
        expires = -1 if why == "expired" else HOUR_MS
        posts = [
            asyncio.create_task(replica.post(each, 1, state, expires_in_ms=expires))
            for each, state in ((chain, "success"), (chain, "failure"), (silent, "success"))
        ]
        await until(lambda: cluster.ends_asked > before)
        cluster.release(Topic.CALLBACKS)
        assert await asyncio.gather(*posts) == [200, 400, 400]
    assert (states(world, chain), states(world, silent)) == (["success"], [])


async def test_many_that_are_too_late_share_the_end_offsets() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chains = [world.push() for _ in range(50)]
    async with world.replica() as replica:
        before = cluster.ends_asked
        late = (replica.post(chain, 1, "success", expires_in_ms=-1) for chain in chains)
        assert await asyncio.gather(*late) == [400] * 50
        assert 0 < cluster.ends_asked - before < 25


async def test_where_a_deposed_leader_tells_an_old_end_a_known_verdict_is_answered_as_it_was() -> None:
    """And the only wrong answer there is changes no chain: the repeat of a 200, late, at a replica that has not read it.

    Where the old end lies below what was read, the leader is known to be deposed: 503.
    """
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        world.halted(chain, 2, HaltReason.CANCELLED)
        await replica.caught_up()
        cluster.faults.stale = 1.0
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 200
        assert await replica.post(chain, 1, "failure") == 400
        assert cluster.faults.counts["end stale"] == 0  # nobody asked
        cluster.hold(Topic.CALLBACKS)
        world.verdict(chain, 2, "success")
        assert {await replica.post(chain, 2, "success") for _ in range(8)} == {400, 503}
        assert cluster.faults.counts["end stale"] >= 8
    assert states(world, chain) == ["success", "success"]


# ---- a repeat of a 200 is 200


@pytest.mark.parametrize("what", ["sealed", "halted by it", "halted later", "cancelled", "completed", "expired"])
async def test_a_repeat_of_a_200_stays_200_and_asks_nothing(what: str) -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    state = "failure" if what == "halted by it" else "success"
    async with world.replica() as replica, world.replica() as other:
        intent = world.closing(chain, 1)
        assert await replica.post(chain, 1, state) == 200
        match what:
            case "sealed":
                world.sealed(chain, 1, intent)
            case "halted by it":
                world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
            case "halted later":
                world.sealed(chain, 2, world.failed(chain, 2))
                world.halted(chain, 2, HaltReason.DELIVERY_FAILED)
            case "cancelled":
                world.cancel(chain)
                world.halted(chain, 1, HaltReason.CANCELLED)
            case "completed":
                world.completed(chain)
        for each in (replica, other):
            await each.caught_up()
        before = cluster.ends_asked
        world.clock.advance((HOUR_MS - 1) / 1000)
        for each in (replica, other):
            for expires_in_ms in (HOUR_MS, -1):
                assert await each.post(chain, 1, state, expires_in_ms=expires_in_ms) == 200
                assert await each.post(chain, 1, "error", expires_in_ms=expires_in_ms) == 400
        assert cluster.ends_asked == before
    assert states(world, chain) == [state]


# ---- chains that are over, and those that are unknown


async def test_ended_chains_are_kept_for_an_hour() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
        await replica.caught_up()
        world.clock.advance((HOUR_MS - 1) / 1000)
        assert await replica.post(chain, 1, "failure") == 200
        world.clock.advance(1 / 1000)
        assert await replica.post(chain, 1, "failure") == 400
    assert states(world, chain) == ["failure"]


async def test_a_chain_whose_push_is_not_read_yet_is_waited_for() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    async with world.replica() as replica:
        cluster.hold(Topic.PUSHES)
        chain = world.push()
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: cluster.ends_asked > 1)
        assert not posting.done()
        cluster.release(Topic.PUSHES)
        assert await posting == 200


async def test_a_run_whose_command_is_not_read_yet_is_waited_for() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    async with world.replica() as replica:
        cluster.hold(Topic.COMMANDS)
        run = world.rerun(world.push())
        posting = asyncio.create_task(replica.post(run, 1, "success"))
        await until(lambda: cluster.ends_asked > 1)
        cluster.release(Topic.COMMANDS)
        assert await posting == 200


async def test_a_chain_whose_push_is_in_no_log_is_never_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record would wait for its cause forever, and every reader with it."""
    monkeypatch.setattr("services.callbacks.gate.ANSWER_S", 0.05)
    world = World()
    chain = world.push()._replace(offset=1000)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 503
    assert states(world, chain) == []
