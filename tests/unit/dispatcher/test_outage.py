"""Many chains due at once, after an outage or a restart: a part at a time, and never in front of what is new."""

from collections.abc import Callable

import pytest

from hookline.chain.events import AttemptError, HookAttemptFailed, HookDelivered, Plan
from hookline.log.records import Place, Topic
from hookline.testing.memory import MemoryCluster
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.service import Dispatcher
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import DELIVERED, World, plan

CHAINS = 2_000
DAY_S = 86_400


@pytest.fixture
def world() -> World:
    return World(MemoryCluster(1))


def another(made: Plan) -> Plan:
    """For another receiver."""
    (hook,) = made.hooks
    return made.model_copy(
        update={"hooks": (hook.model_copy(update={"id": "another", "url": "http://another.test/"}),)}
    )


async def fail_all_once(world: World) -> None:
    world.receivers.answer = lambda post: Outcome(1, 503, AttemptError.STATUS)
    for _ in range(CHAINS):
        world.push(plan(1, final=False, delays=(3600,)))
    await until(lambda: written(world, HookAttemptFailed) == CHAINS, 60)
    world.receivers.posts.clear()


async def pass_time_until(world: World, check: Callable[[], bool]) -> None:
    """They are not begun all at once."""
    await until(check, meanwhile=lambda: world.clock.advance(0.05))


def written(world: World, kind: type[HookAttemptFailed | HookDelivered]) -> int:
    """From headers alone: there are thousands."""
    wanted = f"hookline.{kind.__name__}.v1".encode()
    return sum(raw.headers["ce_type"] == wanted for raw in world.cluster.log(Place(Topic.DELIVERIES, 0)))


def answer_and_note(dispatcher: Dispatcher, waiting: list[int]) -> Callable[[HookPost], Outcome]:
    """How many retries were queued or under way when the other receiver got its hook."""

    def answer(post: HookPost) -> Outcome:
        if post.hook.id == "another":
            waiting.append(dispatcher.slots.waiting + dispatcher.slots.in_flight)
        return DELIVERED

    return answer


async def test_thousands_of_retries_due_at_once_are_not_in_front_of_a_new_push(world: World) -> None:
    waiting: list[int] = []
    async with world.running() as dispatcher:
        await fail_all_once(world)
        world.receivers.answer = answer_and_note(dispatcher, waiting)
        world.clock.advance(DAY_S)
        world.push(another(plan(1, final=False)))
        await pass_time_until(world, lambda: len(world.receivers.posts) == CHAINS + 1)
        assert waiting[0] < CHAINS // 2, "the others are looked at a part at a time"
    assert len(set(world.receivers.ids)) == CHAINS + 1, "each once"


async def test_after_a_restart_they_are_made_once_each_and_the_partition_is_ready_before(world: World) -> None:
    async with world.running("a"):
        await fail_all_once(world)
    world.clock.advance(DAY_S)
    answered = world.receivers.hold()
    async with world.running("b") as dispatcher:  # ready
        await until(lambda: dispatcher.slots.waiting > CHAINS // 2)
        answered.set()
        await pass_time_until(world, lambda: written(world, HookDelivered) == CHAINS)
    assert len(world.receivers.ids) == len(set(world.receivers.ids)) == CHAINS
