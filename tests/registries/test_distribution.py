"""A real registry's notifications, to ingress, to chains run to their end: plain, while ingress is down, slow, or cannot read one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hookline.chain.events import ChainCompleted, PushReceived, Quarantined
from hookline.log.records import Topic
from tests.integration.kafka_proxy import Api
from tests.integration.system import Stand, System
from tests.kit.waiting import until
from tests.registries.front import Front
from tests.registries.images import write_image, write_index
from tests.registries.registry import BACKOFF_S, THRESHOLD, TIMEOUT_S, Registry

pytestmark = pytest.mark.real_registry

HOOKS = ("test", "deploy")
REPOSITORY = "team/app"


@asynccontextmanager
async def registry_at(system: System, folder: Path, *, front: Front | None = None) -> AsyncIterator[Registry]:
    """A registry whose events go to the system's ingress, by way of `front` where there is one."""
    async with Registry(folder / "registry", front.url if front else target(system)).running() as it:
        yield it


def target(system: System) -> str:
    return system.url("ingress", "/events/distribution")


async def pushes(system: System) -> list[PushReceived]:
    return [record.event for record in await system.records(Topic.PUSHES) if isinstance(record.event, PushReceived)]


async def completed(system: System) -> int:
    """Chains that are over, all their steps done."""
    return sum(read.valid and isinstance(read.record.event, ChainCompleted) for read in await system.reads())


async def run_chains(system: System, number: int) -> None:
    """Call back `success` for each hook as it comes, until that many chains are completed."""
    answered: set[str] = set()

    async def answer_and_count() -> bool:
        for _, webhook_id, body in list(system.receiver.posts):
            if webhook_id not in answered and await system.call_back(body) == (200, '"OK"'):
                answered.add(webhook_id)
        return len(answered) >= number * len(HOOKS) and await completed(system) >= number

    await until(answer_and_count, pause_s=0.1)


def tags_seen(system: System) -> dict[str, list[str]]:
    """Hook to the tags that it was called with, in order, each webhook-id once."""
    seen: dict[str, dict[str, str]] = {name: {} for name in HOOKS}
    for path, webhook_id, body in system.receiver.posts:
        data = body["push_data"]
        assert isinstance(data, dict)
        seen[path.strip("/")][webhook_id] = data["tag"]
    return {name: list(tags.values()) for name, tags in seen.items()}


async def test_one_chain_for_each_image_whatever_it_is_made_of(stand: Stand, tmp_path: Path) -> None:
    """An image is two blobs and a manifest, one of two platforms four blobs, two manifests and an index; a signature has a tag too."""
    system = System(stand, tmp_path)
    async with system.running(), registry_at(system, tmp_path) as registry:
        one, two = write_image(registry.layout, "one", "1"), write_index(registry.layout, "two", "2")
        write_image(registry.layout, "signature", "s")
        await system.make_pipeline(*HOOKS, repository=REPOSITORY)
        await registry.push("one", REPOSITORY, "v1")
        await registry.push("two", REPOSITORY, "1.0.0")
        await registry.push("signature", REPOSITORY, f"{two.replace(':', '-')}.sig")
        await registry.pull(REPOSITORY, "1.0.0")
        await run_chains(system, 2)
        await registry.until_delivered()
        events = (await registry.metrics())["Events"]
        assert events > 10, "of which two start something"

        by_tag = {push.tag: push for push in await pushes(system)}
        assert {tag: push.digest for tag, push in by_tag.items()} == {"v1": one, "1.0.0": two}
        assert by_tag["v1"].pusher == "alice"
        assert by_tag["v1"].registry == f"127.0.0.1:{registry.port}"
        assert tags_seen(system) == {name: ["v1", "1.0.0"] for name in HOOKS}
        payload = system.receiver.of("test")[0][2]
        assert payload["repository"]["repo_name"] == REPOSITORY  # type: ignore[index]
        assert payload["push_data"]["digest"] == one  # type: ignore[index]

        async def succeeded() -> bool:
            rows = await system.history(REPOSITORY)
            return {row["tag"]: row["status"] for row in rows} == {"v1": "success", "1.0.0": "success"}

        await until(succeeded)  # the console shows what the log holds a moment later
        assert not await system.raw(Topic.QUARANTINE)

        # The same tag again is a release again; deleting it is none.
        await registry.push("one", REPOSITORY, "v1")
        await run_chains(system, 3)
        await registry.delete(REPOSITORY, one)
        await registry.until_delivered()
        assert (await registry.metrics())["Events"] > events
        assert await completed(system) == 3


async def test_ingress_down_while_an_image_is_pushed(stand: Stand, tmp_path: Path) -> None:
    """The registry holds its events back, in order, and they come when ingress is up again."""
    system = System(stand, tmp_path)
    async with system.running(), registry_at(system, tmp_path) as registry:
        write_image(registry.layout, "one", "1")
        await system.make_pipeline(*HOOKS, repository=REPOSITORY)
        await system.kill("ingress")
        for tag in ("v1", "v2"):
            await registry.push("one", REPOSITORY, tag)

        async def gave_up_for_now() -> bool:
            return bool((await registry.metrics())["Errors"] > THRESHOLD)

        await until(gave_up_for_now)
        assert (await registry.metrics())["Successes"] == 0
        await system.start("ingress")
        await run_chains(system, 2)
        await registry.until_delivered()
        assert [push.tag for push in sorted(await pushes(system), key=lambda push: push.received_at)] == ["v1", "v2"]
        assert tags_seen(system) == {name: ["v1", "v2"] for name in HOOKS}


async def test_ingress_slower_than_the_registry_waits(stand: Stand, tmp_path: Path) -> None:
    """It sends an event again and again that was taken long ago: one chain."""
    system, front = System(stand, tmp_path, proxied=["ingress"]), Front("")
    async with system.running():
        front = Front(target(system))
        await front.start()
        async with registry_at(system, tmp_path, front=front) as registry:
            write_image(registry.layout, "one", "1")
            await system.make_pipeline(*HOOKS, repository=REPOSITORY)
            held = system.proxies["ingress"].hold(Api.PRODUCE, lambda request: b"pushes" in request)
            await registry.push("one", REPOSITORY, "v1")
            await held.held.wait()
            await until(lambda: max(front.deliveries.values()) > THRESHOLD)
            held.release()
            await run_chains(system, 1)
            await registry.until_delivered()
            (event_id, times) = front.deliveries.most_common(1)[0]
            assert times > THRESHOLD
            records = await pushes(system)
            assert {push.producer_id for push in records} == {event_id}
            assert tags_seen(system) == {name: ["v1"] for name in HOOKS}
            # What was sent again after the first landed is in the log too, and void.
            await until_nothing_more(system)
            assert await completed(system) == 1
        await front.stop()


async def until_nothing_more(system: System) -> None:
    """Every push that is in the log was read by the console: what it started would show."""
    number = len(await pushes(system))

    async def shown() -> bool:
        _, body = await system.console("GET", "/api/pushes")
        return body["count"] == number

    await until(shown)


async def test_an_event_that_cannot_be_read_blocks_nothing(stand: Stand, tmp_path: Path) -> None:
    """Answered 4xx it would hold back every later event for good."""
    system = System(stand, tmp_path)
    async with system.running():
        front = Front(target(system))

        def spoil(body: bytes) -> bytes:
            """The event of v1 comes with a target that nobody can read."""
            event = json.loads(body)["events"][0]
            return body.replace(b'"repository"', b'"rep"') if event["target"].get("tag") == "v1" else body

        front.spoil = spoil
        await front.start()
        async with registry_at(system, tmp_path, front=front) as registry:
            write_image(registry.layout, "one", "1")
            await system.make_pipeline(*HOOKS, repository=REPOSITORY)
            await registry.push("one", REPOSITORY, "v1")
            await registry.push("one", REPOSITORY, "v2")
            await run_chains(system, 1)
            await registry.until_delivered()
            assert set(front.deliveries.values()) == {1}
            assert (await registry.metrics())["Failures"] == 0
            assert tags_seen(system) == {name: ["v2"] for name in HOOKS}
            (raw,) = await system.raw(Topic.QUARANTINE)
            kept = Quarantined.model_validate_json(raw.value or b"")
            assert kept.reason == "no repository: target.repository is missing"
            assert '"v1"' in kept.raw
        await front.stop()


async def test_many_images_at_once(stand: Stand, tmp_path: Path) -> None:
    system = System(stand, tmp_path)
    async with system.running(), registry_at(system, tmp_path) as registry:
        for number in range(6):
            write_index(registry.layout, f"i{number}", f"{number}")
        await system.make_pipeline(*HOOKS, repository="team/*", tags="^1.0.0")
        await asyncio.gather(
            *(registry.push(f"i{number}", f"team/app{number}", f"v1.0.{number}") for number in range(5)),
            registry.push("i5", "team/app5", "latest"),
        )
        await run_chains(system, 5)
        await registry.until_delivered()
        assert sorted(tags_seen(system)["deploy"]) == [f"v1.0.{number}" for number in range(5)]
        assert {push.tag: len(push.plans) for push in await pushes(system)}["latest"] == 0


def test_the_registry_gives_up_waiting_before_ingress_does() -> None:
    """What the tests above rest on: its timeout is shorter than the time that ingress gives Kafka."""
    from services.ingress.intake import ANSWER_S

    assert TIMEOUT_S < ANSWER_S
    assert BACKOFF_S < ANSWER_S
