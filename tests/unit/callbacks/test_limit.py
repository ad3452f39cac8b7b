"""How often one step may be called back: 10 a second, before the log is asked for anything."""

from uuid import uuid4

import pytest

from hookline.chain.callback_tokens import CallbackToken
from hookline.chain.ids import ChainId
from hookline.errors import TooMany
from hookline.testing.manual_clock import ManualClock
from services.callbacks.limit import PER_S, CallbackLimit
from services.callbacks.metrics import ANSWERS
from tests.metric_values import value_of
from tests.unit.callbacks.test_rows_before_the_log import changed
from tests.unit.callbacks.world import HOUR_MS, World, check_shape


def token(step: int = 1, expires_at: int = HOUR_MS, push: str | None = None) -> CallbackToken:
    return CallbackToken(ChainId(push or str(uuid4()), 0, 0, 0), step, expires_at)


def allowed(limit: CallbackLimit, one: CallbackToken, tries: int) -> int:
    """How many of so many at once are."""
    count = 0
    for _ in range(tries):
        try:
            limit.take(one)
        except TooMany:
            continue
        count += 1
    return count


def test_ten_at_once_then_ten_a_second() -> None:
    clock, one = ManualClock(), token()
    limit = CallbackLimit(clock)
    assert allowed(limit, one, 100) == PER_S
    clock.advance(0.5)
    assert allowed(limit, one, 100) == PER_S // 2
    clock.advance(60)
    assert allowed(limit, one, 100) == PER_S


def test_it_says_when_there_is_room_again() -> None:
    clock, one = ManualClock(), token()
    limit = CallbackLimit(clock)
    allowed(limit, one, PER_S)
    with pytest.raises(TooMany) as refused:
        limit.take(one)
    clock.advance(refused.value.retry_after_s)
    limit.take(one)


def test_steps_and_chains_have_their_own_and_attempts_of_a_step_share_one() -> None:
    limit, push = CallbackLimit(ManualClock()), str(uuid4())
    assert allowed(limit, token(1, push=push), 100) == PER_S
    assert allowed(limit, token(1, expires_at=2 * HOUR_MS, push=push), 100) == 0
    assert allowed(limit, token(2, push=push), 100) == PER_S
    assert allowed(limit, token(), 100) == PER_S


def test_its_memory_is_bounded_and_who_called_longest_ago_is_forgotten() -> None:
    limit, first, second = CallbackLimit(ManualClock(), capacity=2), token(), token()
    allowed(limit, first, PER_S)
    allowed(limit, second, PER_S)
    assert allowed(limit, first, 1) == 0
    allowed(limit, token(), 1)
    assert len(limit) == 2
    assert allowed(limit, first, 1) == 0
    assert allowed(limit, second, 1) == 1


async def test_too_many_are_429_and_do_nothing() -> None:
    world = World()
    chain = world.push()
    path = world.path(chain, 1)
    before = value_of(ANSWERS.labels("too_many"))
    async with world.replica() as replica:
        for _ in range(PER_S):
            async with replica.client.post(path, data=b"{}") as answer:
                assert answer.status == 400
        world.cluster.down = True  # nothing of the log is asked for
        async with replica.client.post(path, data=b'{"state": "success"}') as answer:
            await check_shape(answer)
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        world.cluster.down = False
        assert await replica.post(world.push(), 1, "success") == 200
        world.clock.advance(1)
        assert await replica.post(chain, 1, "success") == 200
    assert len(world.callbacks(chain)) == 1
    assert value_of(ANSWERS.labels("too_many")) == before + 1


async def test_bad_tokens_are_404_however_many() -> None:
    """They cost nothing but a signature, and have no bucket to fill."""
    world = World()
    path = changed(world.path(world.push(), 1))
    async with world.replica() as replica:
        for _ in range(3 * PER_S):
            async with replica.client.post(path, data=b'{"state": "success"}') as answer:
                assert answer.status == 404
