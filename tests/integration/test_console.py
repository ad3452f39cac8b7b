"""The console as a process on real Kafka: pipelines, history, kill -9, run again, rebuild, refusals in words."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hookline.chain.events import (
    Event,
)
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.pipeline import Pipeline
from hookline.clock import SystemClock
from hookline.kafka.epoch import new_epoch
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.cluster import Producer
from hookline.log.codec import encode
from hookline.log.table import PipelineTable
from hookline.settings import ADMIN_OFFSET
from tests.kafka import free_broker_port
from tests.kit.events import completed, delivered, fence, push, verdict
from tests.kit.waiting import wait_until

PARTITIONS = 3
PASSWORD = "correct horse"
HUB = "/v2/repositories/acme/app/webhook_pipeline/"
HOOK = {"hook_url": "http://127.0.0.1:9/hook"}
NOW = SystemClock().now_ms()


def unread_of_console(metrics: str) -> set[float]:
    """What it says of each partition."""
    found = re.findall(r'^hookline_reader_unread_events\{partition="\d+",reader="console"\} (\S+)$', metrics, re.M)
    return {float(value) for value in found}


class Console:
    """Its process, and HTTP to it."""

    def __init__(self, environment: dict[str, str], port: int, log: Path) -> None:
        self.log = log
        self._port = port
        self._token = ""
        self._output = log.open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.console"], env=environment, stdout=self._output, stderr=subprocess.STDOUT
        )

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        return self._ask(self._port, method, path, body, {"Authorization": f"JWT {self._token}", **headers})

    def get(self, path: str) -> Any:
        status, body = self.call("GET", path)
        assert status == 200, body
        return body

    def ready(self) -> bool:
        """Also: it must not have ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self._ask(self._port + ADMIN_OFFSET, "GET", "/readyz", None, {})[0] == 200
        except OSError:
            return False

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port + ADMIN_OFFSET}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def sign_in(self) -> None:
        status, body = self.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
        assert status == 200
        self._token = body["token"]

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self._output.close()
        return code

    @staticmethod
    def _ask(port: int, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


class Place:
    """A prefix of topics and a folder of its own: where a console is started, again and again."""

    def __init__(self, kafka: str, prefix: str, folder: Path) -> None:
        self.cluster = KafkaCluster(kafka, prefix, client_id="test")
        self.folder = folder
        self.port = free_broker_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        self.environment = kept | {
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "HOOKLINE_TOPIC_PREFIX": prefix,
            "HOOKLINE_CONSOLE_PORT": str(self.port),
            "HOOKLINE_MASTER_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
            "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_DATA_DIR": str(folder),
        }

    @contextmanager
    def console(self) -> Iterator[Console]:
        """Ready and signed in; killed where the test leaves it running."""
        console = Console(self.environment, self.port, self.folder / "console.log")
        try:
            wait_until(console.ready, 60)
            console.sign_in()
            yield console
        finally:
            console.end(signal.SIGKILL)

    def run(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(
            [sys.executable, "-m", "services.console", *arguments],
            env=self.environment | changed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def pipelines(self) -> list[Pipeline]:
        """As ingress would see them."""
        table = PipelineTable(self.cluster)
        task = asyncio.create_task(table.run())
        try:
            await asyncio.wait_for(table.wait_for(2), 30)  # the log_id and one pipeline
            return list(table.pipelines.values())
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
async def place(kafka: str, topic_prefix: str, tmp_path: Path) -> Place:
    made = Place(kafka, topic_prefix, tmp_path)
    await create_topics(made.cluster, partitions=PARTITIONS)
    return made


class Others:
    """What the other services would append for one push."""

    def __init__(self, producer: Producer, pipeline: Pipeline) -> None:
        self._producer = producer
        self._plan = pipeline.plan(0)
        self._push_id = str(uuid4())
        self._partition = partition_of(self._push_id, PARTITIONS)

    async def push(self) -> ChainId:
        event = push(self._plan, push_id=self._push_id, tag="latest", received_at=NOW, window_s=3600)
        return ChainId(self._push_id, await self._append(event), 0, 0)

    async def complete(self, chain: ChainId) -> None:
        worker = await self._append(fence(at=NOW))
        await self._append(delivered(chain, at=NOW), worker)
        await self._append(verdict(chain, at=NOW, description="fine"))
        await self._append(completed(chain, at=NOW), worker)

    async def _append(self, event: Event, fence: int | None = None) -> int:
        return await self._producer.append(encode(event, self._partition, now_ms=NOW, fence=fence))


async def until_row(console: Console, **wanted: str) -> dict[str, Any]:
    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = console.get(f"{HUB}ci/history/")["results"]
        return [row for row in found if all(row[key] == value for key, value in wanted.items())]

    wait_until(rows)
    return rows()[0]


async def test_a_chain_over_kill_and_rebuild(place: Place) -> None:
    producer = await place.cluster.producer()
    try:
        with place.console() as console:
            status, made = console.call("POST", HUB, {"name": "ci", "webhooks": [HOOK]})
            assert (status, made["warnings"]) == (201, [])
            (pipeline,) = await place.pipelines()
            assert pipeline.pipeline_id == made["id"]
            others = Others(producer, pipeline)
            chain = await others.push()
            await until_row(console, uuid=str(chain), status="pending")
            key = {"Idempotency-Key": "once"}
            status, second = console.call("POST", f"/api/chains/{chain}/run", {}, **key)
            assert status == 202
            console.process.kill()
        await others.complete(chain)
        with place.console() as console:
            await until_row(console, uuid=str(chain), status="success", description="fine")
            assert console.call("POST", f"/api/chains/{chain}/run", {}, **key) == (202, second)
            seen = [console.get(path) for path in (f"{HUB}ci/history/", f"/api/chains/{chain}", "/api/pushes")]
            assert seen[0]["count"] == 2
            wait_until(lambda: unread_of_console(console.metrics()) == {0.0})
            rebuilt = place.run("--rebuild")
            assert (rebuilt.returncode, rebuilt.stderr.splitlines()[-1]) == (0, "rebuilt: 6 records read")
            assert [console.get(path) for path in (f"{HUB}ci/history/", f"/api/chains/{chain}", "/api/pushes")] == seen
            assert console.call("DELETE", f"{HUB}ci/?cancel=true") == (204, None)
            wait_until(lambda: console.get(f"/api/chains/{second['chain_id']}")["cancel_requested"])
            assert console.end(signal.SIGTERM) == 0
    finally:
        await producer.close()


async def test_topics_of_another_epoch_are_refused_until_a_rebuild(place: Place) -> None:
    with place.console() as console:
        assert console.get("/api/pushes")["count"] == 0
    await new_epoch(place.cluster)
    refused = place.run()
    assert refused.returncode == 1
    assert "Rebuild it: python -m services.console --rebuild" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert place.run("--rebuild").returncode == 0
    with place.console() as console:
        assert console.get("/api/pushes")["count"] == 0


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"HOOKLINE_TOPIC_PREFIX": "nobody-made-these."}, 1, "hookline topics create"),
        ({"HOOKLINE_ADMIN_PASSWORD": ""}, 2, "HOOKLINE_ADMIN_PASSWORD is empty"),
        ({"HOOKLINE_MASTER_KEYS": ""}, 2, "HOOKLINE_MASTER_KEYS is empty"),
        ({"HOOKLINE_DATABASE_URL": "mysql://u:s3cret@h/d"}, 2, "HOOKLINE_DATABASE_URL"),
    ],
)
async def test_it_does_not_start_and_says_why(
    kafka: str, tmp_path: Path, changed: dict[str, str], code: int, said: str
) -> None:
    ended = Place(kafka, "nobody-made-these.", tmp_path).run(**changed)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.stderr
