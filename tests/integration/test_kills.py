"""kill -9 of each process in the middle of a chain, each at a moment that a receiver or a proxy holds still.

The chain still ends right, and a receiver sees repeats only under the same webhook-id. One system for all tests: a killed
service comes back to what the tests before left in the log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio

from hookline.chain.events import CallbackReceived, ChainCompleted, ChainHalted, HookDelivered, PushReceived
from hookline.log.codec import encode
from hookline.log.records import Topic
from hookline.log.writer import Writer
from tests.integration.kafka_proxy import Api
from tests.integration.system import Stand, System
from tests.kit.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    made = System(stand, tmp_path_factory.mktemp("system"), proxied=["dispatcher", "callbacks", "ingress"])
    async with made.running() as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def system(shared: System) -> System:
    """With a repository of the test's own."""
    await asyncio.to_thread(shared.broker.start)
    await shared.renew()
    return shared


async def run_to_its_end(system: System, hooks: list[str], answered: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Call back success for each hook as it comes, then see the chain completed once."""
    for name in hooks:
        await until(lambda name=name: system.receiver.of(name))
        if name not in answered:
            await until(lambda name=name: succeed(system, name))
    await until(lambda: completed(system))
    assert len(await completed(system)) == 1
    assert not await system.own_records(Topic.DELIVERIES, ChainHalted)


async def succeed(system: System, name: str) -> bool:
    """A receiver tries again until its verdict is taken."""
    return await system.call_back(system.receiver.of(name)[-1][2]) == (200, '"OK"')


async def completed(system: System) -> list[object]:
    return [r for r in await system.own_reads() if r.valid and isinstance(r.record.event, ChainCompleted)]


async def test_dispatcher_while_a_hook_is_open_at_the_receiver(system: System) -> None:
    answer = asyncio.Event()

    async def hold(path: str, body: dict[str, object]) -> int:
        if len(system.receiver.of("one")) == 1 and path == "/one":
            await answer.wait()
        return 200

    system.receiver.answer = hold
    await system.make_pipeline("one", "two")
    assert await system.push() == 202
    await until(lambda: system.receiver.of("one"))
    await system.kill("dispatcher")
    await system.start("dispatcher")
    await until(lambda: len(system.receiver.of("one")) == 2)
    answer.set()
    await run_to_its_end(system, ["one", "two"])
    assert len({webhook_id for _, webhook_id, _ in system.receiver.of("one")}) == 1
    assert len(system.receiver.of("two")) == 1


async def test_dispatcher_when_hookdelivered_is_appended_and_not_read_back(system: System) -> None:
    answer = asyncio.Event()

    async def hold(path: str, body: dict[str, object]) -> int:
        if path == "/one":
            await answer.wait()
        return 200

    system.receiver.answer = hold
    await system.make_pipeline("one", "two")
    assert await system.push() == 202
    await until(lambda: system.receiver.of("one"))
    held = system.proxies["dispatcher"].hold(Api.FETCH)
    await held.held.wait()
    answer.set()
    await until(lambda: system.own_records(Topic.DELIVERIES, HookDelivered))
    await system.kill("dispatcher")
    held.release()
    await system.start("dispatcher")
    await run_to_its_end(system, ["one", "two"])
    assert len(system.receiver.of("one")) == 1, "the event was in the log: nothing is repeated"


async def test_callbacks_when_a_verdict_is_appended_and_not_answered(system: System) -> None:
    await system.make_pipeline("one", "two")
    assert await system.push() == 202
    await until(lambda: system.receiver.of("one"))
    held = system.proxies["callbacks"].hold(Api.PRODUCE)
    calling = asyncio.create_task(system.call_back(system.receiver.of("one")[0][2]))
    await until(lambda: system.own_records(Topic.CALLBACKS, CallbackReceived))
    await held.held.wait()
    await system.kill("callbacks")
    assert await calling == (0, "")
    held.release()
    await system.start("callbacks")
    await until(lambda: system.receiver.of("two"))  # the verdict counted, though nobody heard so
    await run_to_its_end(system, ["one", "two"])
    assert len(await system.own_records(Topic.CALLBACKS, CallbackReceived)) == 2, (
        "the repeat was answered, not appended"
    )


async def test_ingress_between_append_and_answer(system: System) -> None:
    await system.make_pipeline("one")
    held = system.proxies["ingress"].hold(Api.PRODUCE)
    pushing = asyncio.create_task(system.push())
    await until(lambda: system.own_records(Topic.PUSHES, PushReceived))
    await held.held.wait()
    await system.kill("ingress")
    assert await pushing == 0, "unknown, to its client"
    held.release()
    await system.start("ingress")
    assert await system.push() == 202  # so it sends it again
    await until(lambda: len_of(system, Topic.PUSHES))
    await run_to_its_end(system, ["one"])
    assert len(system.receiver.of("one")) == 1


async def len_of(system: System, topic: Topic) -> bool:
    return len(await system.own_records(topic)) == 2


async def test_broker_with_pushes_under_way(system: System) -> None:
    await system.make_pipeline("one", expect_final_callback=False)
    answers: dict[str, int] = {}

    async def push(tag: str) -> None:
        answers[tag] = await system.push(tag)

    pushing = [asyncio.create_task(push(f"v{n}")) for n in range(200)]
    await until(lambda: answers)
    await asyncio.to_thread(system.broker.kill)
    await asyncio.gather(*pushing)
    await asyncio.to_thread(system.broker.start)
    accepted = {tag for tag, status in answers.items() if status == 202}
    assert set(answers.values()) <= {202, 503}
    assert accepted
    logged = {r.event.tag for r in await system.own_records(Topic.PUSHES, PushReceived)}  # type: ignore[union-attr]
    assert accepted <= logged, "I1"
    for tag in answers.keys() - accepted:
        await until(lambda tag=tag: pushed(system, tag))
    await until(lambda: all_ended(system, set(answers)), within_s=60)
    tags = [post[2]["push_data"]["tag"] for post in system.receiver.posts]  # type: ignore[index]
    assert set(tags) == set(answers)
    ids = {(tag, post[1]) for tag, post in zip(tags, system.receiver.posts, strict=True)}
    assert len(ids) == len(answers), "repeats only under the same webhook-id"


async def pushed(system: System, tag: str) -> bool:
    return await system.push(tag) == 202


async def all_ended(system: System, tags: set[str]) -> bool:
    return len(await completed(system)) >= len(tags)


@pytest.mark.parametrize("service", ["console", "ingress", "callbacks", "dispatcher"])
async def test_each_service_between_two_steps(system: System, service: str) -> None:
    await system.make_pipeline("one", "two", "three")
    assert await system.push() == 202
    await until(lambda: system.own_records(Topic.DELIVERIES, HookDelivered))  # or its POST may be repeated
    await system.kill(service)
    if service in ("ingress", "console"):  # nobody misses them while a chain runs
        await run_to_its_end(system, ["one", "two", "three"])
        await system.start(service)
    else:
        await system.start(service)
        await run_to_its_end(system, ["one", "two", "three"])
    assert [len(system.receiver.of(name)) for name in ("one", "two", "three")] == [1, 1, 1]
    rows = await until(lambda: ended_rows(system))
    assert [row["status"] for row in rows] == ["success"]


async def ended_rows(system: System) -> list[dict[str, object]]:
    return [row for row in await system.history() if row["status"] != "pending"]


async def test_dispatcher_when_a_snapshot_is_half_written(system: System) -> None:
    await system.make_pipeline("one")
    assert await system.push() == 202
    await until(lambda: system.receiver.of("one"))
    held = system.proxies["dispatcher"].hold(Api.PRODUCE, lambda request: b"snapshots" in request)
    records, whole = len(await system.raw(Topic.SNAPSHOTS)), await whole_snapshots(system)
    (push,) = await system.own_records(Topic.PUSHES, PushReceived)
    await append_many(system, push.event, push.partition, 10_100)  # type: ignore[arg-type]
    await asyncio.wait_for(held.held.wait(), 60)
    assert len(await system.raw(Topic.SNAPSHOTS)) > records
    assert await whole_snapshots(system) == whole
    await system.kill("dispatcher")
    held.release()
    await system.start("dispatcher")
    await run_to_its_end(system, ["one"])
    await until(lambda: more_than(whole, whole_snapshots(system)))


async def append_many(system: System, push: PushReceived, partition: int, count: int) -> None:
    """So many pushes that match no pipeline, in one partition, that a snapshot is due."""
    writer = Writer(system.cluster())
    writer.start()
    other = push.model_copy(update={"repository": "ns/none", "plans": ()})
    drafts = [
        encode(other.model_copy(update={"push_id": f"{push.push_id[:24]}{n:012x}"}), partition, now_ms=push.received_at)
        for n in range(count)
    ]
    for at in range(0, count, 500):
        await asyncio.gather(*(writer.append(draft) for draft in drafts[at : at + 500]))
    await writer.close()


async def more_than(number: int, count: Awaitable[int]) -> bool:
    return await count > number


async def whole_snapshots(system: System) -> int:
    return sum("last" in raw.headers for raw in await system.raw(Topic.SNAPSHOTS))
