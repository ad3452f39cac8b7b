"""ingress as its own process over real Kafka: what it appends, what a 201 of the console is good for, and Kafka going away."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession

from hookline.broker import EmbeddedBroker
from hookline.chain.events import PushReceived
from hookline.chain.ids import partition_of, push_id
from hookline.chain.pipeline import Dedupe, Hook, Pipeline
from hookline.kafka.epoch import read_log_id
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.codec import decode, encode_setting
from hookline.log.records import Place, RawRecord, Topic
from tests.kafka import free_broker_port
from tests.kit.waiting import until

TOKEN = "marked-token-4d11"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
START_S = 60.0
PARTITIONS = 3


def push_body(repository: str, tag: str) -> str:
    return json.dumps({"push_data": {"tag": tag}, "repository": {"repo_name": repository}})


def pipeline(repository: str) -> Pipeline:
    hook = Hook(id="h1", key="k1", name="test", url="http://receiver.test/hook", created_at=1, updated_at=1)
    return Pipeline(
        pipeline_id=f"id-{repository}",
        repository=repository,
        name="ci",
        slug="ci",
        hooks=(hook,),
        created_at=1,
        updated_at=1,
    )


@contextmanager
def process(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m services.ingress`; its output in a file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "services.ingress"], env={**kept, **environment}, stdout=output, stderr=output
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(30)
            finally:
                running.kill()
                running.wait()


class Running:
    """A running ingress, and the log below it."""

    def __init__(self, client: ClientSession, port: int, cluster: KafkaCluster) -> None:
        self.client, self.port, self.cluster = client, port, cluster

    async def push(self, repository: str, tag: str) -> tuple[int, dict[str, int]]:
        """Status and answer of a push, within 5 s."""
        url = f"http://127.0.0.1:{self.port}/events/dockerhub"
        began = time.monotonic()
        async with self.client.post(url, data=push_body(repository, tag), headers=BEARER) as answer:
            body = await answer.json()
        assert time.monotonic() - began < 5, "an answer within 5 s, whatever is away"
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        return answer.status, body

    async def readiness(self) -> tuple[int, str]:
        async with self.client.get(f"http://127.0.0.1:{self.port + 1000}/readyz") as answer:
            return answer.status, (await answer.json())["detail"]

    async def until_ready(self) -> None:
        async def is_ready() -> bool:
            try:
                return (await self.readiness())[0] == 200
            except ClientConnectionError:
                return False

        await until(is_ready, START_S, pause_s=0.05)

    async def until_accepted(self, repository: str, tag: str) -> None:
        """Push until it is taken, as a registry would."""

        async def is_taken() -> bool:
            return (await self.push(repository, tag))[0] == 202

        await until(is_taken, START_S, pause_s=0.1)

    async def records(self) -> list[RawRecord]:
        """All that lies in `pushes` now."""
        places = [Place(Topic.PUSHES, p) for p in range(PARTITIONS)]
        offsets, consumer = await self.cluster.offsets(), await self.cluster.consumer()
        ends = await offsets.ends(places)
        consumer.assign(dict.fromkeys(places, 0))
        found: list[RawRecord] = []
        async with asyncio.timeout(START_S):
            while len(found) < sum(ends.values()):
                for records in (await consumer.poll(0.5)).values():
                    found += records
        await consumer.close()
        await offsets.close()
        return found

    async def pushes(self) -> dict[str | None, list[PushReceived]]:
        """By tag."""
        by_tag: dict[str | None, list[PushReceived]] = {}
        for raw in await self.records():
            event = decode(raw).event
            assert isinstance(event, PushReceived)
            by_tag.setdefault(event.tag, []).append(event)
        return by_tag


@asynccontextmanager
async def running(
    servers: str, prefix: str, folder: Path, *, topics: bool = True, **settings: str
) -> AsyncIterator[Running]:
    cluster = KafkaCluster(servers, prefix, client_id="test")
    if topics:
        await create_topics(cluster, partitions=PARTITIONS)
    port = free_broker_port(22000, 22900)
    environment = {
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": servers,
        "HOOKLINE_TOPIC_PREFIX": prefix,
        "HOOKLINE_INGRESS_PORT": str(port),
        "HOOKLINE_INGRESS_TOKENS": TOKEN,
        "HOOKLINE_LOG_LEVEL": "debug",
        **settings,
    }
    log = folder / "ingress.log"
    with process(environment, log):
        async with ClientSession() as client:
            it = Running(client, port, cluster)
            await it.until_ready()
            yield it
    said = log.read_text()
    assert TOKEN not in said
    assert "Traceback" not in said


async def test_a_push_is_in_the_log_when_it_is_answered(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    async with running(kafka, topic_prefix, tmp_path) as ingress:
        assert await ingress.push("acme/app", "v1") == (
            202,
            {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0},
        )
        (raw,) = await ingress.records()
        log_id = await read_log_id(ingress.cluster)
        assert log_id is not None
        expected = push_id(log_id, "dockerhub", None, push_body("acme/app", "v1").encode())
        assert raw.key == expected.encode()
        assert raw.place.partition == partition_of(expected, PARTITIONS)
        assert await ingress.push("acme/app", "v1") == (
            202,
            {"accepted": 0, "duplicates": 1, "ignored": 0, "quarantined": 0},
        )
        assert len(await ingress.records()) == 2


async def test_a_201_of_the_console_is_good_for_every_push_that_begins_after_it(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    async with running(kafka, topic_prefix, tmp_path) as ingress:
        producer = await ingress.cluster.producer()
        for n in range(30):
            offset = await producer.append(encode_setting(pipeline(f"acme/app{n}"), now_ms=1))
            # As soon as its append is acked the console answers 201, and the push may come.
            assert (await ingress.push(f"acme/app{n}", f"{n}-{offset}"))[0] == 202
        await producer.close()
        pushes = await ingress.pushes()
        assert len(pushes) == 30
        for tag, (event,) in pushes.items():
            assert event.settings_offset > int(str(tag).split("-")[1])
            assert [plan.pipeline_id for plan in event.plans] == [f"id-{event.repository}"]


async def test_kafka_away_is_503_in_time_and_it_goes_on_by_itself(
    own_broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with running(own_broker.bootstrap_servers, topic_prefix, tmp_path) as ingress:
        assert (await ingress.push("acme/app", "before"))[0] == 202
        for n in range(2):
            own_broker.kill()
            answers = await asyncio.gather(*(ingress.push("acme/app", f"{n}-{i}") for i in range(5)))
            assert {status for status, _ in answers} == {503}
            assert (await ingress.push("acme/app", f"{n}-again"))[0] == 503
            await asyncio.to_thread(own_broker.start)
            for tag in (*(f"{n}-{i}" for i in range(5)), f"{n}-again"):
                await ingress.until_accepted("acme/app", tag)
            await ingress.until_ready()
        pushes = await ingress.pushes()
        assert set(pushes) == {"before", *(f"{n}-{i}" for n in range(2) for i in (*range(5), "again"))}


async def test_a_kafka_that_hangs_is_503_in_time(own_broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """Connections stay open and nothing answers on them."""
    assert own_broker.pid is not None
    async with running(own_broker.bootstrap_servers, topic_prefix, tmp_path) as ingress:
        assert (await ingress.push("acme/app", "before"))[0] == 202
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(ingress.push("acme/app", f"{i}") for i in range(5)))
            assert {status for status, _ in answers} == {503}
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
        for i in range(5):
            await ingress.until_accepted("acme/app", f"{i}")
        assert set(await ingress.pushes()) == {"before", *(f"{i}" for i in range(5))}


async def quarantine(ingress: Running, prefix: str, *words: str, **more: str) -> tuple[int, str]:
    """Exit code and output of `hookline quarantine ...` for that ingress."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    settings = {
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": ",".join(ingress.cluster.connection.bootstrap_servers),
        "HOOKLINE_TOPIC_PREFIX": prefix,
        "HOOKLINE_INGRESS_PORT": str(ingress.port),
        "HOOKLINE_INGRESS_TOKENS": TOKEN,
    }
    it = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookline.cli", "quarantine", *words),
        env={**kept, **settings, **more}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await it.communicate()
    return it.returncode or 0, said.decode()


def mapped(folder: Path, source: str, repository: str) -> dict[str, str]:
    """Settings of a mapping whose tag is right."""
    if source == "generic":
        return {"HOOKLINE_GENERIC_REPOSITORY": repository, "HOOKLINE_GENERIC_TAG": "image.version"}
    file = folder / "mappings.toml"
    file.write_text(f'[{source.removeprefix("generic/")}]\nrepository = "{repository}"\ntag = "image.version"\n')
    return {"HOOKLINE_GENERIC_FILE": str(file)}


@pytest.mark.parametrize(
    ("source", "finds_none"),
    [("generic", "HOOKLINE_GENERIC_REPOSITORY"), ("generic/ci", "`repository` of the mapping ci")],
)
async def test_what_could_not_be_read_is_taken_once_its_mapping_is_mended(
    kafka: str, topic_prefix: str, tmp_path: Path, source: str, finds_none: str
) -> None:
    """The way of a body that a setting (or a version) cannot read: kept, listed, shown, delivered again."""
    body = '{"image": {"name": "acme/app", "version": "1.0.0"}}'
    reason = f"no repository: {finds_none} finds none"
    wrong = mapped(tmp_path, source, "image.repository")
    async with running(kafka, topic_prefix, tmp_path, **wrong) as ingress:
        url = f"http://127.0.0.1:{ingress.port}/events/{source}"
        async with ingress.client.post(url, data=body, headers=BEARER) as answer:
            assert (answer.status, await answer.json()) == (
                202,
                {"accepted": 0, "duplicates": 0, "ignored": 0, "quarantined": 1, "reason": reason},
            )
        code, said = await quarantine(ingress, topic_prefix, "list", "--json")
        assert code == 0
        (kept,) = json.loads(said)
        assert (kept["source"], kept["reason"]) == (source, reason)
        assert (await quarantine(ingress, topic_prefix, "show", "0", "--raw")) == (0, body)
        if source != "generic":
            code, said = await quarantine(ingress, topic_prefix, "retry", "0")
            assert (code, "is HOOKLINE_GENERIC_FILE here as ingress has it?" in said) == (1, True)
        code, said = await quarantine(ingress, topic_prefix, "retry", "0", **wrong)
        assert (code, "still cannot be read" in said) == (1, True)
        listed = json.loads((await quarantine(ingress, topic_prefix, "list", "--json"))[1])
        assert len(listed) == 1, "the same body is kept once"
    right = mapped(tmp_path, source, "image.name")
    async with running(kafka, topic_prefix, tmp_path, topics=False, **right) as ingress:
        assert (await quarantine(ingress, topic_prefix, "retry", "0", **right)) == (0, f"0 {source}: taken\n")
        assert (await quarantine(ingress, topic_prefix, "retry", "--all", **right)) == (
            0,
            f"0 {source}: taken before\n",
        )
        assert [push.repository for push in (await ingress.pushes())["1.0.0"]] == ["acme/app"] * 2, (
            "as kept, once, and all again"
        )


async def test_one_chain_a_digest_over_two_replicas(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """`dedupe: digest`: the pushes of one image lie in different partitions and come to different replicas."""
    target = {"mediaType": "application/vnd.oci.image.index.v1+json", "repository": "acme/app", "tag": "v1"}

    async def push(ingress: Running, number: int, digest: str) -> None:
        event = {"id": f"e{number}", "action": "push", "target": {**target, "digest": f"sha256:{digest * 64}"}}
        url = f"http://127.0.0.1:{ingress.port}/events/distribution"
        async with ingress.client.post(url, json={"events": [event]}, headers=BEARER) as answer:
            assert answer.status == 202, await answer.text()

    (tmp_path / "other").mkdir()
    async with (
        running(kafka, topic_prefix, tmp_path) as first,
        running(kafka, topic_prefix, tmp_path / "other", topics=False) as second,
    ):
        producer = await first.cluster.producer()
        once = pipeline("acme/*").model_copy(update={"dedupe": Dedupe.DIGEST})
        await producer.append(encode_setting(once, now_ms=1))
        await producer.close()
        for number, digest in enumerate("aaabbaab"):
            await push((first, second)[number % 2], number, digest)
        pushes = sorted((await first.pushes())["v1"], key=lambda push: push.producer_id or "")
        assert "".join("x" if push.plans else "-" for push in pushes) == "x--x-x-x"
        assert [bool(push.same_digest) for push in pushes] == [not push.plans for push in pushes]


def test_it_refuses_to_start_on_topics_that_are_not_there(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    environment = {
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "HOOKLINE_TOPIC_PREFIX": topic_prefix,
        "HOOKLINE_INGRESS_PORT": str(free_broker_port(22000, 22900)),
        "HOOKLINE_INGRESS_TOKENS": TOKEN,
    }
    log = tmp_path / "ingress.log"
    with process(environment, log) as it:
        assert it.wait(START_S) == 1
    said = log.read_text()
    assert "TopicsUnfit: there is no topic" in said
    assert "run `hookline topics create`" in said
    assert "Traceback" not in said
