"""Guessing passwords is slow, and nobody's guesses keep the right one out."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TypeVar

import pytest

from hookline.errors import TooMany
from hookline.testing.manual_clock import ManualClock
from services.console.login_limit import MAX_DELAY_S, MAX_WAITING, LoginLimit
from services.console.metrics import LOGIN_FAILURES, LOGINS_WAITING
from tests.kit.waiting import until
from tests.metric_values import value_of
from tests.unit.console.running import PASSWORD, Running

T = TypeVar("T")

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
DEADLINE_S = 30.0


async def until_still(holds: Callable[[], bool]) -> None:
    await until(holds)
    await settled()


async def settled() -> None:
    """Whoever began to wait sleeps now, and whoever woke has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def turns(limit: LoginLimit, clock: ManualClock, address: str, count: int) -> list[float]:
    """Seconds that each of so many tries, one after the other, waited."""
    waited = []
    for _ in range(count):
        began = clock.monotonic()
        await passing(limit.turn(address), clock)
        waited.append(clock.monotonic() - began)
    return waited


async def passing(work: Awaitable[T], clock: ManualClock, step_s: float = 0.5) -> T:
    """What the work gives, while time passes for as long as it waits."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(DEADLINE_S):
        while not task.done():
            await settled()
            if not task.done():
                clock.advance(step_s)
    return task.result()


async def test_the_delay_of_an_address_grows_to_a_bound() -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    delays = []
    for _ in range(20):
        delays.append(limit.delay_s(HERE))
        await turns(limit, clock, HERE, 1)
    assert delays[:4] == [0, 0, 0, 1]
    assert all(1.7 * one <= other <= 2 * one for one, other in pairwise(delays[3:6]))
    assert min(delays[10:]) >= 0.9 * MAX_DELAY_S
    assert max(delays) <= MAX_DELAY_S
    assert limit.delay_s(ELSEWHERE) == 0


@pytest.mark.parametrize("wrong", [0, 1, 2, 3, 4, 5, 6, 10, 100, 1000])
async def test_the_right_password_is_judged_after_any_number_of_wrong_ones(wrong: int) -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    await turns(limit, clock, HERE, wrong)
    (wait_s,) = await turns(limit, clock, HERE, 1)
    assert wait_s <= MAX_DELAY_S
    limit.right(HERE)
    assert limit.delay_s(HERE) == 0


async def test_one_wrong_try_each_half_minute_keeps_nobody_out() -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    await turns(limit, clock, HERE, 10)
    for _ in range(50):
        clock.advance(30)
        (wait_s,) = await turns(limit, clock, HERE, 1)
        assert wait_s <= MAX_DELAY_S
    clock.advance(300)
    assert limit.delay_s(HERE) == 0


async def test_tries_at_once_count_as_wrong_ones_until_they_are_judged() -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    tries = [asyncio.create_task(limit.turn(HERE)) for _ in range(9)]
    judged = []
    for seconds in (0, 1, 1, 2, 4):
        await settled()
        clock.advance(seconds)
        await settled()
        judged.append(sum(one.done() for one in tries))
    assert judged == [3, 4, 5, 6, 9]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
        ("unknown", "192.0.2.1", False),
    ],
)
async def test_addresses_wait_alone_and_ipv6_by_its_network(one: str, other: str, same: bool) -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    await turns(limit, clock, one, 10)
    assert (limit.delay_s(other) > 0) == same


async def test_guesses_of_many_addresses_are_slow_in_all() -> None:
    """Each address once: else there were three for each address, and each /64 of IPv6, without any wait."""
    clock = ManualClock()
    limit = LoginLimit(clock)
    for number in range(100):
        assert await turns(limit, clock, f"2001:db8:0:{number:x}::1", 1) == [0]
    assert limit.delay_s(ELSEWHERE) == 1
    tries = [asyncio.create_task(limit.turn(f"2001:db8:1:{number:x}::1")) for number in range(900)]
    await until_still(lambda: limit.waiting == 900)
    assert limit.delay_s(ELSEWHERE) == MAX_DELAY_S
    right = asyncio.create_task(limit.turn(ELSEWHERE))
    await until_still(lambda: limit.waiting == 901)
    clock.advance(MAX_DELAY_S)
    await asyncio.gather(right, *tries)
    limit.right(ELSEWHERE)
    clock.advance(600)
    assert limit.delay_s(ELSEWHERE) == 0


async def test_above_the_bound_the_address_with_the_most_gives_up_its_oldest() -> None:
    before = value_of(LOGIN_FAILURES.labels("limited"))
    clock = ManualClock()
    limit = LoginLimit(clock)
    for address in (HERE, ELSEWHERE):
        await turns(limit, clock, address, 6)
    mine = asyncio.create_task(limit.turn(ELSEWHERE))
    flood = [asyncio.create_task(limit.turn(HERE)) for _ in range(MAX_WAITING + 20)]
    await until_still(lambda: sum(one.done() for one in flood) == 21)
    assert limit.waiting == MAX_WAITING
    assert value_of(LOGINS_WAITING) == MAX_WAITING
    assert [one.done() for one in flood] == [True] * 21 + [False] * (MAX_WAITING - 1)
    with pytest.raises(TooMany):
        flood[0].result()
    clock.advance(MAX_DELAY_S)
    await mine
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(one, TooMany) for one in outcomes) == 21
    assert value_of(LOGIN_FAILURES.labels("limited")) == before + 21
    assert limit.waiting == value_of(LOGINS_WAITING) == 0


async def test_a_try_that_is_given_up_leaves_nothing() -> None:
    clock = ManualClock()
    limit = LoginLimit(clock)
    await turns(limit, clock, HERE, 6)
    task = asyncio.create_task(limit.turn(HERE))
    await until_still(lambda: limit.waiting == 1)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert limit.waiting == 0


async def test_addresses_are_bounded_and_the_one_that_tried_longest_ago_goes_first() -> None:
    clock = ManualClock()
    limit = LoginLimit(clock, addresses=2)
    for address, count in (("192.0.2.1", 6), ("192.0.2.2", 6), ("192.0.2.1", 1), ("192.0.2.3", 4)):
        await turns(limit, clock, address, count)
    assert [limit.delay_s(f"192.0.2.{n}") > 0 for n in (1, 2, 3)] == [True, False, True]


# By HTTP

LOGIN = "/v2/users/login/"


async def by_api(console: Running, password: str) -> int:
    return (await console.call("POST", LOGIN, {"username": "admin", "password": password}))[0]


async def by_page(console: Running, password: str) -> int:
    form = {"username": "admin", "password": password}
    async with console.http.post(console.base + "/login", data=form, allow_redirects=False) as answer:
        return answer.status


async def waited(console: Running, work: Awaitable[int]) -> int:
    """The status, while a second passes whenever a hundredth of one does."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(DEADLINE_S):
        while not (await asyncio.wait({task}, timeout=0.01))[0]:
            console.clock.advance(1)
    return task.result()


async def test_whoever_guesses_keeps_nobody_out(console: Running) -> None:
    """The API and the pages count together."""
    for number in range(12):
        assert await waited(console, (by_api if number % 2 else by_page)(console, "wrong")) == (
            401 if number % 2 else 403
        )
    assert await waited(console, by_page(console, PASSWORD)) == 303
    for _ in range(12):
        assert await waited(console, by_api(console, "wrong")) == 401
    assert await waited(console, by_api(console, PASSWORD)) == 200


async def test_a_right_password_waits_as_a_wrong_one_does(console: Running) -> None:
    for _ in range(6):
        await waited(console, by_api(console, "wrong"))
    before = value_of(LOGINS_WAITING)
    tries = [asyncio.create_task(by(console, word)) for by in (by_api, by_page) for word in ("wrong", PASSWORD)]
    await until(lambda: value_of(LOGINS_WAITING) >= before + 4)
    console.clock.advance(3)
    done, _ = await asyncio.wait(tries, timeout=0.1)
    assert not done
    console.clock.advance(MAX_DELAY_S)
    assert await asyncio.gather(*tries) == [401, 200, 403, 303]
