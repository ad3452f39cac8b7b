"""What an operator does to topics below a system that runs, on real Kafka: a lowered limit, and topics made anew."""

import asyncio
import contextlib
import random
from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from confluent_kafka.admin import AdminClient

from hookline.chain.events import ChainCompleted, PushReceived
from hookline.kafka.topics import create_topics
from hookline.log.records import LOGS, QUARANTINE, Topic
from tests.contract.operators import GUARDED, change, delete, give_right, make_anew, take_right
from tests.integration.system import SERVICES, TOKEN, Stand, System
from tests.integration.test_operations import hookline
from tests.kit.waiting import until

LIMIT = 50_000
LOOK_S = 3.0
"""How often the services look at the topics here: a minute would make these tests long."""
pytestmark = pytest.mark.timeout(240)


class Keeper:
    """Starts services again when they end, as `hookline up` does; `ends` has how each ended, in its last words."""

    def __init__(self, system: System) -> None:
        self.ends: defaultdict[str, list[str]] = defaultdict(list)
        self._system = system
        self._tasks = [asyncio.create_task(self._keep(service)) for service in system.processes]

    async def _keep(self, service: str) -> None:
        while True:
            code = await self._system.processes[service].wait()
            assert code == 1, f"{service} ended with {code}"
            self.ends[service].append((self._system.folder / f"{service}.log").read_text().rstrip().rsplit("\n", 1)[-1])
            await asyncio.sleep(0.5)
            await self._system.spawn(service)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert [error for error in done if not isinstance(error, asyncio.CancelledError)] == []


@contextlib.asynccontextmanager
async def kept(system: System) -> AsyncIterator[Keeper]:
    keeper = Keeper(system)
    try:
        yield keeper
    finally:
        await keeper.stop()


async def detail(system: System, service: str) -> str:
    """What its readiness says; "" while it does not answer."""
    try:
        async with system.http.get(f"http://127.0.0.1:{system.ports[service] + 1000}/readyz") as answer:
            return str((await answer.json())["detail"])
    except aiohttp.ClientError:
        return ""


async def is_up(system: System, *services: str) -> bool:
    """Are these ready, also where they just end and are started again?"""
    for service in services:
        if system.processes[service].returncode is not None or not await system.is_ready(service):
            return False
    return True


async def post(system: System, size: int, tag: str) -> int:
    """A push with so much noise in it; the status."""
    noise = b64encode(random.Random(size).randbytes(size)).decode()
    body = {"push_data": {"tag": tag}, "repository": {"repo_name": system.repository, "full_description": noise}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with system.http.post(system.url("ingress", "/events/dockerhub"), json=body, headers=headers) as answer:
        return answer.status


async def complete(system: System, tag: str) -> None:
    """A push whose chain runs to its end."""
    await until(lambda: pushed(system, tag))
    await until(lambda: system.receiver.of("build"))
    (_, _, body) = system.receiver.posts.pop()
    await until(lambda: verdict(system, body))
    await until(lambda: completed(system, tag))


async def pushed(system: System, tag: str) -> bool:
    return await system.push(tag) == 202


async def verdict(system: System, body: dict[str, object]) -> bool:
    return await system.call_back(body) == (200, '"OK"')


async def completed(system: System, tag: str) -> bool:
    pushes = {r.event.push_id: r.event for r in await system.records(Topic.PUSHES) if isinstance(r.event, PushReceived)}
    ends = [r.event.chain_id for r in await system.records(Topic.DELIVERIES) if isinstance(r.event, ChainCompleted)]
    return any(push.tag == tag and end.startswith(push_id) for end in ends for push_id, push in pushes.items())


async def test_a_limit_that_is_lowered_costs_nobody_but_what_is_larger(stand: Stand, tmp_path: Path) -> None:
    """C28. Of 8 small pushes 5 were 503, the large one forever, and no log had a word of it."""
    system = System(stand, tmp_path, partitions=4, look_s=LOOK_S)
    async with system.running("ingress"):
        await change(system.cluster(), Topic.PUSHES, "max.message.bytes", LIMIT)
        small = [post(system, 100, f"v{n}") for n in range(8)]
        statuses = await asyncio.gather(post(system, 200_000, "large"), *small)
        assert statuses == [202] * 9
        (kept,) = await system.raw(QUARANTINE.topic)
        assert f"{system.prefix}pushes does not take a record of ".encode() in (kept.value or b"")
        assert {r.event.tag for r in await system.records(Topic.PUSHES, PushReceived)} == {f"v{n}" for n in range(8)}  # type: ignore[union-attr]

        sentence = f"{system.prefix}pushes has max.message.bytes={LIMIT} and needs 4194304"
        await until(lambda: says(system, "ingress", sentence))
        assert await system.is_ready("ingress"), "what fits goes through"
        said = (tmp_path / "ingress.log").read_text()
        assert said.count(sentence) == 1
        assert "Kafka refuses a record" in said
        async with system.http.get(f"http://127.0.0.1:{system.ports['ingress'] + 1000}/metrics") as answer:
            assert f'hookline_topic_limit_bytes{{topic="pushes"}} {LIMIT:.1f}' in await answer.text()
        code, found = await hookline(system, "doctor")
        assert code == 1
        assert sentence.split(" and ")[0] in " ".join(found.split())

        await change(system.cluster(), Topic.QUARANTINE, "max.message.bytes", LIMIT)
        assert await post(system, 200_000, "larger") == 413
        await until(lambda: is_taken(system, "v8"))
        await system.kill("ingress")
        await system.start("ingress")  # no limit keeps a service from starting
        await until(lambda: is_taken(system, "v9"))


async def is_taken(system: System, tag: str) -> bool:
    return await post(system, 100, tag) == 202


async def says(system: System, service: str, words: str) -> bool:
    return words in await detail(system, service)


async def misses_no_right(system: System, service: str) -> bool:
    return not await says(system, service, "does not let us write")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A broker that goes by rights."""
    made = Stand(tmp_path_factory.mktemp("guarded"), GUARDED)
    with made.broker:
        yield made


async def test_a_right_that_is_taken_away_is_named_until_it_is_given_back(guarded: Stand, tmp_path: Path) -> None:
    """503 for what will be taken again, and an operator who knows what to do; other topics go on."""
    system = System(guarded, tmp_path, partitions=4, look_s=LOOK_S)
    async with system.running("ingress", "dispatcher", "callbacks"):
        for services, topic in ((("ingress",), Topic.PUSHES), (("callbacks", "dispatcher"), Topic.CALLBACKS)):
            assert await system.is_ready("dispatcher"), "it writes elsewhere"
            await take_right(system.cluster(), topic)
            words = f"Kafka does not let us write to {system.prefix}{topic}: give our Kafka user the right Write on it"
            for service in services:  # the dispatcher seals steps in `callbacks`
                await until(lambda s=service, w=words: says(system, s, w))
                assert not await system.is_ready(service)
            assert await system.is_ready("dispatcher") == ("dispatcher" not in services), "it writes elsewhere"
        for _ in range(3):
            assert await post(system, 100, "refused") == 503
        said = (tmp_path / "ingress.log").read_text()
        assert said.count("a right is missing") == said.count("Kafka refuses a record") == 1
        assert not (await system.raw(QUARANTINE.topic))
        for service, topic in (("ingress", Topic.PUSHES), ("callbacks", Topic.CALLBACKS)):
            await give_right(system.cluster(), topic)
            await until(lambda s=service: system.is_ready(s))
        # Not ready yet: that the right is back was tried with a record that it cannot read.
        await until(lambda: misses_no_right(system, "dispatcher"))
        await until(lambda: is_taken(system, "taken"))


@pytest.mark.parametrize(
    "topic", [Topic.CALLBACKS, Topic.COMMANDS, Topic.DELIVERIES, Topic.SNAPSHOTS, Topic.QUARANTINE]
)
async def test_a_topic_that_is_made_anew_stops_nobody_for_good(stand: Stand, tmp_path: Path, topic: Topic) -> None:
    """Each service goes on, or ends with words and comes up again. The console says how to rebuild its database."""
    system = System(stand, tmp_path, partitions=1, look_s=LOOK_S)
    async with system.running():
        await system.make_pipeline("build")
        await complete(system, "before")
        assert await system.push("cancelled") == 202
        await until(lambda: system.receiver.of("build"))
        chain = await until(lambda: open_chain(system, "cancelled"))
        assert (await system.console("POST", f"/api/chains/{chain}/cancel", {}))[0] == 202
        async with kept(system) as keeper:
            await make_anew(system.cluster(), topic, 1)
            if topic in LOGS:
                await until(lambda: {"dispatcher", "callbacks"} <= keeper.ends.keys(), within_s=100)
            await until(lambda: is_up(system, "ingress", "dispatcher", "callbacks"), within_s=100)
            system.receiver.posts.clear()
            await complete_anew(system, "after")
            for service in ("ingress", "dispatcher", "callbacks"):
                for words in keeper.ends.get(service, ()):
                    assert "made anew" in words or "there is no topic" in words, f"{service}: {words}"
            if topic not in LOGS:
                ends = [words for service in keeper.ends.values() for words in service]
                assert not any("made anew" in words for words in ends), "only who looked while there was none"
                return
            await until(lambda: any("--rebuild" in words for words in keeper.ends["console"]), within_s=100)
            code, said = await hookline(system, "doctor")
            assert (code, "`hookline console --rebuild`" in " ".join(said.split())) == (1, True), said
            code, said = await hookline(system, "console", "--rebuild")
            assert code == 0, said
            await until(lambda: is_up(system, *SERVICES))


async def open_chain(system: System, tag: str) -> object:
    """The id of that push's chain, as soon as History shows it."""
    return next((r["uuid"] for r in await system.history() if (r["tag"], r["status"]) == (tag, "pending")), None)


async def complete_anew(system: System, tag: str) -> None:
    """As `complete`, with chains about that are due again."""
    await until(lambda: pushed(system, tag))

    async def finish() -> bool:
        for _, _, body in list(system.receiver.posts):
            if body["push_data"]["tag"] == tag:  # type: ignore[index]
                await system.call_back(body)
        return await completed(system, tag)

    await until(finish)


@pytest.mark.parametrize("topic", [Topic.PUSHES, Topic.COMMANDS])
async def test_records_that_others_rest_on_and_that_are_gone_are_said_with_what_to_do_and_that_helps(
    stand: Stand, tmp_path: Path, topic: Topic
) -> None:
    """The services end, since the topic is another; started again they stop at what rests on it, which would wait until the
    topic is as long again."""
    system = System(stand, tmp_path, partitions=1, look_s=LOOK_S)
    async with system.running():
        await system.make_pipeline("build")
        await complete(system, "before")
        chain = (await system.history())[0]["uuid"]
        assert (await system.console("POST", f"/api/chains/{chain}/run", {"from_step": 1}))[0] == 202
        await until(lambda: system.receiver.of("build"))
        await until(lambda: verdict(system, system.receiver.posts[-1][2]))
        async with kept(system) as keeper:
            await make_anew(system.cluster(), topic, 1)
            for service in ("dispatcher", "callbacks"):
                await until(lambda s=service: says(system, s, f"rests on {topic}[0]@0"), within_s=100)
                assert all("made anew" in w or "there is no topic" in w for w in keeper.ends[service])
            words = await detail(system, "dispatcher")
        resting = "commands, callbacks, deliveries" if topic is Topic.PUSHES else "callbacks, deliveries"
        assert f"stop all services, delete {resting} too, and run `hookline topics create`" in words
        for service in SERVICES:
            await system.kill(service)
        for name in resting.split(", "):
            await delete(system.cluster(), Topic(name))
        await create_topics(system.cluster(), partitions=1)
        assert (await hookline(system, "console", "--rebuild"))[0] == 0
        for service in SERVICES:
            await system.start(service)
        system.receiver.posts.clear()
        await complete_anew(system, "after")


async def test_pipelines_that_are_made_anew_are_another_log(stand: Stand, tmp_path: Path) -> None:
    """The services end at once, and do not start before there is a log id; what remembers the old one is named."""
    system = System(stand, tmp_path, partitions=1, look_s=LOOK_S)
    async with system.running():
        await system.make_pipeline("build")
        await complete(system, "before")
        await system.stop("dispatcher")  # it leaves a checkpoint of the old log
        await system.start("dispatcher")
        async with kept(system) as keeper:
            await make_anew(system.cluster(), Topic.PIPELINES, 1)
            for service in SERVICES:
                await until(lambda s=service: any("holds no log_id" in w for w in keeper.ends[s]), within_s=100)
            await create_topics(system.cluster(), partitions=1)
            await until(lambda: is_up(system, "ingress"))
            for service in ("dispatcher", "callbacks"):
                await until(lambda s=service: any("commit is of log" in w for w in keeper.ends[s]), within_s=100)
        for service in ("dispatcher", "callbacks", "console"):
            await system.kill(service)
        await delete_group(system)
        assert (await hookline(system, "console", "--rebuild"))[0] == 0
        for service in ("dispatcher", "callbacks", "console"):
            await system.start(service)
        await system.make_pipeline("build")
        system.receiver.posts.clear()
        await complete_anew(system, "after")


async def delete_group(system: System) -> None:
    admin = AdminClient({"bootstrap.servers": system.broker.bootstrap_servers})

    def done() -> bool:
        (asked,) = admin.delete_consumer_groups([f"{system.prefix}dispatcher"]).values()
        try:
            asked.result(10)
        except Exception:  # noqa: BLE001 - a member that was killed is one until its session is over
            return False
        return True

    await until(lambda: asyncio.to_thread(done))
