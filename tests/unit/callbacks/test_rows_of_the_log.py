"""The rows of the table of answers that the log decides (design section 6), each test named after its row, over real HTTP."""

import asyncio
from collections.abc import Callable

import pytest

from hookline.chain.events import AttemptError, HaltReason
from hookline.chain.ids import ChainId
from hookline.log.records import Topic
from tests.unit.callbacks.scripted import ScriptedCluster
from tests.unit.callbacks.world import HOUR_MS, World, until


def states(world: World, chain_id: ChainId) -> list[str]:
    return [event.state.value for _, event in world.callbacks(chain_id)]


# ---- a verdict of that step is in the log


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        (HaltReason.CALLBACK_TIMEOUT, lambda w, c: w.closing(c, 1)),
        (HaltReason.DELIVERY_FAILED, lambda w, c: w.failed(c, 1)),
        (HaltReason.GONE, lambda w, c: w.failed(c, 1, status=410)),
        (HaltReason.BLOCKED_ADDRESS, lambda w, c: w.failed(c, 1, error=AttemptError.BLOCKED)),
    ],
)
async def test_verdict_there_and_halted_at_that_step_by_no_verdict_and_no_user(
    reason: HaltReason, end: Callable[[World, ChainId], int]
) -> None:
    world = World()
    chain = world.push()
    end(world, chain)
    world.halted(chain, 1, reason)
    world.heard(chain, 1, "success")  # landed behind the seal
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 400
    assert states(world, chain) == ["success"]


async def test_verdict_there_and_halted_at_a_later_step() -> None:
    world = World()
    chain = world.push()
    world.heard(chain, 1, "success")
    world.failed(chain, 2, callbacks_read=1)
    world.halted(chain, 2, HaltReason.DELIVERY_FAILED)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 1, "failure") == 400


async def test_verdict_there_and_being_closed() -> None:
    world = World()
    chain = world.push()
    world.closing(chain, 1)
    world.heard(chain, 1, "success")
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 503
        assert await replica.post(chain, 1, "failure") == 503
        world.closing(chain, 2)  # a later step: the intent on step 1 was overruled by the verdict
        assert await replica.post(chain, 1, "success") == 200
    assert states(world, chain) == ["success"]


async def test_verdict_there_and_being_closed_comes_before_token_expired() -> None:
    world = World()
    chain = world.push()
    world.closing(chain, 1)
    world.heard(chain, 1, "success")
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 503


async def test_intent_whose_read_to_lies_above_the_verdict_is_none() -> None:
    world = World()
    chain = world.push()
    offset = world.heard(chain, 1, "success")
    world.failed(chain, 1, callbacks_read=offset + 1)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


async def test_late_event_of_an_earlier_step_does_not_end_an_intent() -> None:
    world = World()
    chain = world.push()
    world.heard(chain, 1, "success")
    world.failed(chain, 2, callbacks_read=0)
    world.heard(chain, 2, "success")
    world.delivered(chain, 1)  # the POST of step 1 was open until now
    async with world.replica() as replica:
        assert await replica.post(chain, 2, "success") == 503


async def test_chain_over_has_no_intent() -> None:
    world = World()
    chain = world.push()
    world.heard(chain, 1, "success")
    world.cancel(chain)
    world.halted(chain, 2, HaltReason.CANCELLED)
    world.failed(chain, 1, callbacks_read=0)  # a POST that was still open
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


async def test_first_verdict_has_the_same_state() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 1, "success") == 200
    assert states(world, chain) == ["success"]


async def test_first_verdict_has_another_state() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        assert await replica.post(chain, 1, "success") == 400
        assert await replica.post(chain, 1, "error") == 400
        assert await replica.post(chain, 1, "failure") == 200
    assert states(world, chain) == ["failure"]


async def test_the_verdict_that_halted_the_chain_is_answered_as_it_was() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
        assert await replica.post(chain, 1, "failure") == 200
        assert await replica.post(chain, 1, "success") == 400


async def test_verdict_there_and_token_expired() -> None:
    world = World()
    chain = world.push()
    world.heard(chain, 1, "success")
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 200
        assert await replica.post(chain, 1, "failure", expires_in_ms=-1) == 400


async def test_verdict_there_and_cancelled_at_that_step() -> None:
    world = World()
    chain = world.push()
    world.cancel(chain)
    world.heard(chain, 1, "success")
    world.halted(chain, 1, HaltReason.CANCELLED)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


# ---- none is


@pytest.mark.parametrize("reason", [HaltReason.CANCELLED, HaltReason.CALLBACK_TIMEOUT, None])
async def test_none_there_and_chain_over(reason: HaltReason | None) -> None:
    world = World()
    chain = world.push(expect_final_callback=False)
    if reason is None:
        world.heard(chain, 1, "success")
        world.delivered(chain, 2)
        world.completed(chain)
    else:
        world.halted(chain, 2, reason)
    async with world.replica() as replica:
        assert await replica.post(chain, 2, "success") == 400
    assert [event for _, event in world.callbacks(chain) if event.step == 2] == []


async def test_none_there_and_token_expired() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 400
        assert states(world, chain) == []
        assert await replica.post(chain, 1, "success", expires_in_ms=0) == 200


async def test_none_there_and_token_expired_comes_before_being_closed() -> None:
    world = World()
    chain = world.push()
    world.closing(chain, 1)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success", expires_in_ms=-1) == 400


async def test_none_there_and_being_closed() -> None:
    world = World()
    chain = world.push()
    world.failed(chain, 1)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 503
        assert states(world, chain) == []
        world.halted(chain, 1, HaltReason.DELIVERY_FAILED)
        assert await replica.post(chain, 1, "success") == 400
    assert states(world, chain) == []


async def test_a_failure_that_is_tried_again_closes_nothing() -> None:
    world = World()
    chain = world.push()
    world.failed(chain, 1, last=False)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


async def test_void_decisions_count_for_nothing() -> None:
    world = World()
    chain = world.push()
    zombie = world.fence(chain)
    world.fence(chain)
    world.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT, fence=zombie)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


# ---- else: append, read it back, and answer by the rows above


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
    run = world.run_again(chain, from_step=2)
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
        world.heard(chain, 1, "failure")  # by another replica
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: len(world.callbacks(chain)) == 2)
        cluster.release(Topic.CALLBACKS)
        assert await posting == 400
        assert await replica.post(chain, 1, "failure") == 200


async def test_append_behind_an_intent_is_being_closed_until_that_is_decided() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    lost, saved = world.push(), world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.DELIVERIES)
        for chain in (lost, saved):
            world.failed(chain, 1)
        posts = [asyncio.create_task(replica.post(chain, 1, "success")) for chain in (lost, saved)]
        await until(lambda: bool(world.callbacks(lost) and world.callbacks(saved)))
        cluster.release(Topic.DELIVERIES)
        assert await asyncio.gather(*posts) == [503, 503]
        world.halted(lost, 1, HaltReason.DELIVERY_FAILED)  # the worker did not read the verdict in time
        world.delivered(saved, 2)  # it did
        assert await replica.post(lost, 1, "success") == 400
        assert await replica.post(saved, 1, "success") == 200


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


# ---- judged at the logs' ends, taken after the request came


async def test_a_stale_verdict_is_not_answered_before_deliveries_was_read() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        world.heard(chain, 1, "success")
        await replica.caught_up()
        cluster.hold(Topic.DELIVERIES)
        world.closing(chain, 1)  # by a worker that has not read it
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: cluster.ends_asked > 1)
        cluster.release(Topic.DELIVERIES)
        assert await posting == 503


async def test_a_verdict_that_a_stale_tail_has_not_read_counts() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.CALLBACKS)
        world.heard(chain, 1, "success")  # by another replica, which answered 200
        posting = asyncio.create_task(replica.post(chain, 1, "success", expires_in_ms=-1))
        await until(lambda: cluster.ends_asked > 1)
        cluster.release(Topic.CALLBACKS)
        assert await posting == 200


async def test_a_stale_closing_is_not_answered_before_deliveries_was_read() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    world.closing(chain, 1)
    async with world.replica() as replica:
        cluster.hold(Topic.DELIVERIES)
        world.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: cluster.ends_asked > 1)
        cluster.release(Topic.DELIVERIES)
        assert await posting == 400


async def test_a_verdict_that_landed_between_the_two_ends_is_judged_by_a_later_end_of_deliveries() -> None:
    """The end of `deliveries` may be older than that of `callbacks`: then an intent in between would be missed."""
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.DELIVERIES)

        def between() -> None:
            world.closing(chain, 1)  # the worker then reads callbacks to its end: nothing
            world.heard(chain, 1, "success")  # behind the seal

        cluster.between_ends = between
        # Expired, so that nothing is appended and the answer must come from what was read.
        posting = asyncio.create_task(replica.post(chain, 1, "success", expires_in_ms=-1))
        await until(lambda: cluster.ends_asked > 2 or posting.done())
        cluster.release(Topic.DELIVERIES)
        assert await posting == 503


async def test_many_at_once_share_the_end_offsets() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chains = [world.push() for _ in range(50)]
    async with world.replica() as replica:
        before = cluster.ends_asked
        assert await asyncio.gather(*(replica.post(chain, 1, "success") for chain in chains)) == [200] * 50
        assert cluster.ends_asked - before < 25


# ---- chains that are over, and those that are unknown


async def test_ended_chains_are_kept_for_an_hour() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
        await replica.caught_up()
        world.clock.ms += HOUR_MS - 1
        assert await replica.post(chain, 1, "failure") == 200
        world.clock.ms += 1
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
        run = world.run_again(world.push())
        posting = asyncio.create_task(replica.post(run, 1, "success"))
        await until(lambda: cluster.ends_asked > 1)
        cluster.release(Topic.COMMANDS)
        assert await posting == 200


async def test_a_chain_whose_push_is_in_no_log_is_never_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record would wait for its cause for ever, and every reader with it."""
    monkeypatch.setattr("services.callbacks.gate.ANSWER_S", 0.05)
    world = World()
    chain = world.push()._replace(offset=1000)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 503
    assert states(world, chain) == []


async def test_a_step_that_the_chain_does_not_have() -> None:
    world = World()
    chain = world.push(hooks=2)
    async with world.replica() as replica:
        assert await replica.post(chain, 3, "success") == 400
    assert states(world, chain) == []
