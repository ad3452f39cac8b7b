"""A dispatcher runs chains: each rule of design section 3, over the in-memory log with a clock that stands still."""

import asyncio

import pytest
from pydantic_core import from_json

from hookline.chain.callback_tokens import open_token
from hookline.chain.events import (
    AttemptError,
    ChainCompleted,
    ChainHalted,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    StepClosing,
    Verdict,
)
from hookline.testing.memory import MemoryCluster
from services.dispatcher.sender import HookPost, Outcome
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import DELIVERED, World, callback_url, plan


@pytest.fixture
def world() -> World:
    return World(MemoryCluster(1))


async def test_three_hooks_are_called_in_order_each_after_the_success_of_the_one_before(world: World) -> None:
    async with world.running():
        world.push(plan(3))
        for step in (1, 2, 3):
            await until(lambda step=step: len(world.decisions(HookDelivered)) == step)
            assert [post.hook.name for post in world.receivers.posts] == ["1", "2", "3"][:step]
            world.verdict(world.only_chain(), step)
        await until(lambda: world.decisions(ChainCompleted))
    assert world.receivers.ids == [f"{world.only_chain()}-{step}" for step in (1, 2, 3)]


async def test_the_body_is_the_payload_with_a_signed_callback_url_first(world: World) -> None:
    async with world.running():
        event = world.push(plan(1, deadline_s=60))
        (post,) = await until(lambda: world.receivers.posts)
    body = from_json(post.body)
    assert list(body) == ["callback_url", "push_data", "repository"]
    assert {k: v for k, v in body.items() if k != "callback_url"} == event.payload
    base, _, token = callback_url(post).rstrip("/").rpartition("/")
    assert base == "http://callbacks.test/u/ns/app/hook"
    opened = open_token(world.keys, token, "ns/app")
    assert (str(opened.chain_id), opened.step, opened.expires_at) == (
        world.only_chain(),
        1,
        world.clock.now_ms() + 60_000,
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [(Verdict.FAILURE, HaltReason.CALLBACK_FAILURE), (Verdict.ERROR, HaltReason.CALLBACK_ERROR)],
)
async def test_a_verdict_that_is_not_success_halts(world: World, state: Verdict, reason: HaltReason) -> None:
    async with world.running():
        world.push(plan(2))
        await until(lambda: world.decisions(HookDelivered))
        world.verdict(world.only_chain(), 1, state)
        (halted,) = await until(lambda: world.decisions(ChainHalted))
    assert (halted.event.reason, halted.event.step, len(world.receivers.posts)) == (reason, 1, 1)


async def test_a_callback_before_the_answer_opens_the_next_step(world: World) -> None:
    answered = asyncio.Event()

    async def answer(post: HookPost) -> Outcome:
        if post.hook.name == "1":
            world.verdict(world.only_chain(), 1)
            await answered.wait()
        return DELIVERED

    world.receivers.answer = answer
    async with world.running():
        world.push(plan(2))
        await until(lambda: len(world.receivers.posts) == 2)  # while the first POST is still open
        answered.set()
        await until(lambda: len(world.decisions(HookDelivered)) == 2)
        world.verdict(world.only_chain(), 2)
        await until(lambda: world.decisions(ChainCompleted))


async def test_a_failed_attempt_is_tried_again_when_its_recorded_time_has_come(world: World) -> None:
    outcomes = [Outcome(1, 500, AttemptError.STATUS), Outcome(1, None, AttemptError.CONNECT), DELIVERED]
    world.receivers.answer = lambda post: outcomes[len(world.receivers.posts) - 1]
    async with world.running():
        world.push(plan(1, delays=(5, 300)))
        (first,) = await until(lambda: world.decisions(HookAttemptFailed))
        wait_ms = first.event.next_attempt_at - world.clock.now_ms()
        assert 4500 <= wait_ms <= 5500
        world.clock.advance((wait_ms - 1) / 1000)
        await asyncio.sleep(0.05)  # several polls go by
        assert len(world.receivers.posts) == 1
        world.clock.advance(0.001)
        await until(lambda: len(world.decisions(HookAttemptFailed)) == 2)
        world.clock.advance(331)
        await until(lambda: world.decisions(HookDelivered))
    assert len(set(world.receivers.ids)) == 1
    assert [r.event.attempt for r in world.decisions(HookAttemptFailed)] == [1, 2]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(1, 500, AttemptError.STATUS), HaltReason.DELIVERY_FAILED),
        (Outcome(1, 410, AttemptError.STATUS), HaltReason.GONE),
        (Outcome(1, None, AttemptError.BLOCKED), HaltReason.BLOCKED_ADDRESS),
    ],
)
async def test_when_no_attempt_is_left_the_chain_halts(world: World, outcome: Outcome, reason: HaltReason) -> None:
    world.receivers.answer = lambda post: outcome
    async with world.running():
        world.push(plan(2, delays=(5,)))
        await until(lambda: world.decisions(HookAttemptFailed))
        world.clock.advance(6)
        (halted,) = await until(lambda: world.decisions(ChainHalted))
    assert halted.event.reason is reason
    assert len(world.receivers.posts) == (1 if reason is HaltReason.GONE else 2)


async def test_a_deadline_that_passes_closes_the_step_then_halts(world: World) -> None:
    async with world.running():
        world.push(plan(1, deadline_s=60))
        await until(lambda: world.decisions(HookDelivered))
        world.clock.advance(60)
        (halted,) = await until(lambda: world.decisions(ChainHalted))
    (closing,) = world.decisions(StepClosing)
    assert (closing.offset < halted.offset, halted.event.reason) == (True, HaltReason.CALLBACK_TIMEOUT)


async def test_a_verdict_that_lands_after_the_intent_and_before_the_seal_overrules_the_timeout(world: World) -> None:
    """Scenario timeout-race: any 200 counts."""
    async with world.running():
        world.push(plan(1, deadline_s=60))
        await until(lambda: world.decisions(HookDelivered))
        chain_id = world.only_chain()
        append = world.cluster.append

        def append_and_race(draft):  # type: ignore[no-untyped-def]
            offset = append(draft)
            if draft.headers["ce_type"] == b"hookline.StepClosing.v1":
                world.cluster.append = append
                world.verdict(chain_id)
            return offset

        world.cluster.append = append_and_race  # type: ignore[method-assign]
        world.clock.advance(60)
        await until(lambda: world.decisions(ChainCompleted))
    assert not world.decisions(ChainHalted)
    assert len(world.decisions(StepClosing)) == 1


async def test_cancel_halts_and_no_step_is_called_after_it(world: World) -> None:
    async with world.running():
        world.push(plan(2))
        await until(lambda: world.decisions(HookDelivered))
        world.cancel(world.only_chain())
        (halted,) = await until(lambda: world.decisions(ChainHalted))
        world.verdict(world.only_chain(), 1)
        await asyncio.sleep(0.05)
    assert (halted.event.reason, len(world.receivers.posts)) == (HaltReason.CANCELLED, 1)


async def test_without_a_final_callback_the_last_delivery_completes(world: World) -> None:
    async with world.running():
        world.push(plan(1, final=False))
        await until(lambda: world.decisions(ChainCompleted))
    assert len(world.receivers.posts) == 1


async def test_a_repeat_within_its_window_starts_nothing(world: World) -> None:
    async with world.running():
        event = world.push(plan(1))
        world.push(plan(1), push_id=event.push_id)
        other = world.push(plan(1))
        await until(lambda: len(world.decisions(HookDelivered)) == 2)
    assert {post.webhook_id[:36] for post in world.receivers.posts} == {event.push_id, other.push_id}
    assert len(world.receivers.posts) == 2


async def test_a_redelivery_is_a_new_run_from_its_step(world: World) -> None:
    async with world.running():
        event = world.push(plan(3))
        await until(lambda: world.decisions(HookDelivered))
        world.verdict(world.only_chain(), 1, Verdict.FAILURE)
        await until(lambda: world.decisions(ChainHalted))
        run = world.redeliver(event, 0, from_step=2)
        await until(lambda: len(world.decisions(HookDelivered)) == 2)
    assert world.receivers.ids[-1] == f"{run}-2"


async def test_every_plan_of_a_push_is_a_chain_of_its_own(world: World) -> None:
    async with world.running():
        world.push(plan(1, n=0), plan(1, n=1))
        await until(lambda: len(world.decisions(HookDelivered)) == 2)
        first, second = sorted(world.full_fold().chains)
        world.verdict(first, 1, Verdict.FAILURE)
        world.verdict(second, 1)
        await until(lambda: world.ending(first) and world.ending(second))
    assert len(world.decisions(ChainHalted)) == len(world.decisions(ChainCompleted)) == 1


async def test_a_slow_receiver_holds_up_nobody_else(world: World) -> None:
    forever = world.receivers.hold(lambda post: post.hook.name == "1")
    slow, quick = plan(1, n=0), plan(2, n=1).model_copy(update={"hooks": plan(2).hooks[1:]})
    async with world.running():
        for _ in range(40):  # more than one host may hold at once
            world.push(slow, quick)
        await until(lambda: len(world.decisions(HookDelivered)) == 40)
        assert sum(post.hook.name == "1" for post in world.receivers.posts) == 32
        forever.set()
        await until(lambda: len(world.decisions(HookDelivered)) == 80)


async def test_a_callback_token_in_an_answer_does_not_reach_the_log(world: World) -> None:
    """I11: a receiver that answers with the body that it was sent."""
    world.receivers.answer = lambda post: Outcome(1, 200, None, post.body.decode())
    async with world.running():
        world.push(plan(1))
        (delivered,) = await until(lambda: world.decisions(HookDelivered))
    token = callback_url(world.receivers.posts[0]).rstrip("/").rpartition("/")[2]
    assert "callback_url" in delivered.event.answer
    assert token not in delivered.event.answer
