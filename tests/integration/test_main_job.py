"""The main job over real services: a push goes in, hooks are called in order, verdicts open the gates, History shows it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hookline.chain.events import ChainCompleted, ChainHalted, HookAttemptFailed, HookDelivered
from hookline.log.records import Topic
from tests.integration.system import TOKEN, Stand, System
from tests.kit.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with System(stand, tmp_path_factory.mktemp("system")).running() as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def system(shared: System) -> System:
    """With a repository of the test's own."""
    await shared.renew()
    return shared


async def test_three_hooks_in_order_each_after_the_success_of_the_one_before(system: System) -> None:
    await system.make_pipeline("one", "two", "three")
    assert await system.push() == 202
    for called, name in enumerate(("one", "two", "three"), 1):
        await until(lambda called=called: len(system.receiver.posts) == called)
        assert [row["status"] for row in await until(system.history)] == ["pending"]
        assert await system.call_back(system.receiver.of(name)[0][2]) == (200, '"OK"')
    await until(lambda: succeeded(system))
    assert [path for path, _, _ in system.receiver.posts] == ["/one", "/two", "/three"]


async def succeeded(system: System) -> bool:
    return [row["status"] for row in await system.history()] == ["success"]


async def test_a_callback_while_its_post_is_still_open(system: System) -> None:
    """Half of the receivers in the wild call back before they answer."""
    early: list[tuple[int, str]] = []

    async def call_back_first(path: str, body: dict[str, object]) -> int:
        early.append(await system.call_back(body))
        if path == "/one":  # and only then, with the second hook already there, it answers the first
            await until(lambda: system.receiver.of("two"))
        return 200

    system.receiver.answer = call_back_first
    await system.make_pipeline("one", "two")
    assert await system.push() == 202
    await until(lambda: system.own_records(Topic.DELIVERIES, ChainCompleted))
    await until(lambda: len(early) == 2)  # an answer may come after what the verdict did
    assert early == [(200, '"OK"')] * 2
    assert [path for path, _, _ in system.receiver.posts] == ["/one", "/two"]


async def test_what_curl_sends_as_a_callback_is_understood(system: System) -> None:
    """`curl --data` says application/x-www-form-urlencoded, whatever it sends."""
    await system.make_pipeline("one")
    assert await system.push() == 202
    await until(lambda: system.receiver.posts)
    async with system.http.post(
        str(system.receiver.posts[0][2]["callback_url"]),
        data='{"state": "success"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ) as answer:
        assert (answer.status, await answer.text()) == (200, '"OK"')
    await until(lambda: system.own_records(Topic.DELIVERIES, ChainCompleted))


@pytest.mark.parametrize("status", [302, 204])
async def test_a_redirect_is_delivered_and_nothing_follows_it(system: System, status: int) -> None:

    async def answer(path: str, body: dict[str, object]) -> int:
        return status

    system.receiver.answer = answer
    await system.make_pipeline("one", expect_final_callback=False)
    assert await system.push() == 202
    await until(lambda: system.own_records(Topic.DELIVERIES, ChainCompleted))
    (delivered,) = await system.own_records(Topic.DELIVERIES, HookDelivered)
    assert delivered.event.status == status  # type: ignore[union-attr]
    assert len(system.receiver.posts) == 1


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_that_says_not_here_is_a_failed_attempt_that_says_what_to_set(
    system: System, status: int
) -> None:
    """Case C22: the chain does not wait a day for a receiver that never got the hook."""

    async def answer(path: str, body: dict[str, object]) -> int:
        return status

    system.receiver.answer = answer
    await system.make_pipeline("one", retry_delays=[])
    assert await system.push() == 202
    await until(lambda: system.own_records(Topic.DELIVERIES, ChainHalted))
    (failed,) = await system.own_records(Topic.DELIVERIES, HookAttemptFailed)
    assert failed.event.status == status  # type: ignore[union-attr]
    assert "set the hook's URL" in (failed.event.detail or "")  # type: ignore[union-attr]


async def test_times_reach_the_receiver_as_integers(system: System) -> None:
    """Go receivers fail on 1417566161.0."""
    await system.make_pipeline("one")
    body = '{"push_data": {"pushed_at": 1.417566161e+09, "tag": "v1"}, "repository": {"repo_name": "NAME", "date_created": 1.417494799e+09}}'
    async with system.http.post(
        system.url("ingress", "/events/dockerhub"),
        data=body.replace("NAME", system.repository),
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as answer:
        assert answer.status == 202
    await until(lambda: system.receiver.posts)
    text = system.receiver.posts[0][2]
    times = (text["push_data"]["pushed_at"], text["repository"]["date_created"])  # type: ignore[index]
    assert times == (1417566161, 1417494799)
    assert [type(time) for time in times] == [int, int]
    assert next(iter(text)) == "callback_url"
