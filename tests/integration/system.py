"""The four services as processes on a real broker, each behind a Kafka proxy of its own where a test wants to hold something."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from uuid import uuid4

import aiohttp
from aiohttp import web

from hookline.broker import EmbeddedBroker
from hookline.chain.events import PushReceived
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.codec import Record, decode
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from tests.integration.kafka_proxy import KafkaProxy
from tests.kafka import free_broker_port
from tests.kit.waiting import until

__all__ = ["MASTER_KEY", "PARTITIONS", "PASSWORD", "SERVICES", "TOKEN", "Receiver", "Stand", "System"]

T = TypeVar("T")

PARTITIONS = 2
SERVICES = {
    "ingress": "INGRESS_PORT",
    "dispatcher": "DISPATCHER_PORT",
    "callbacks": "CALLBACKS_PORT",
    "console": "CONSOLE_PORT",
}
TOKEN = "push-me-into-the-log"
PASSWORD = "let-me-in"
MASTER_KEY = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


@dataclass
class Receiver:
    """A real HTTP receiver of many hooks: `posts` has every POST; `answer` may wait before it answers."""

    port: int = 0
    posts: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    """(path, webhook-id, body)"""
    answer: Callable[[str, dict[str, object]], Awaitable[int]] | None = None
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posts.append((request.path, request.headers["webhook-id"], body))
        return web.Response(status=await self.answer(request.path, body) if self.answer else 200)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def of(self, name: str) -> list[tuple[str, str, dict[str, object]]]:
        return [post for post in self.posts if post[0] == f"/{name}"]


def looking(service: str, look_s: float) -> str:
    """The service as a program that looks at the topics so often."""
    return (
        f"import runpy, sys; from hookline.log import watch; watch.LOOK_S = {look_s}; sys.argv[1:] = [];"
        f" runpy.run_module('services.{service}', run_name='__main__', alter_sys=True)"
    )


class Stand:
    """A broker with a listener of its own for each service, so that a proxy can stand before it."""

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        """properties: of the broker, beside its listeners."""
        port = free_broker_port()
        self.proxy_ports = {name: (free_broker_port(), free_broker_port()) for name in SERVICES}
        """Service to (the port that the broker advertises for its listener, the port it listens on)."""
        own = f"PLAINTEXT://127.0.0.1:{port}"
        names = [name.upper() for name in self.proxy_ports]
        real = [f"{n.upper()}://127.0.0.1:{port}" for n, (_, port) in self.proxy_ports.items()]
        shown = [f"{n.upper()}://127.0.0.1:{port}" for n, (port, _) in self.proxy_ports.items()]
        protocols = ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", *(f"{name}:PLAINTEXT" for name in names)]
        self.broker = EmbeddedBroker(
            folder,
            port,
            properties={
                "listeners": ",".join([own, f"CONTROLLER://127.0.0.1:{port + 1000}", *real]),
                "advertised.listeners": ",".join([own, *shown]),
                "listener.security.protocol.map": ",".join(protocols),
                "inter.broker.listener.name": "PLAINTEXT",
                **(properties or {}),
            },
        )


class System:
    """Topics of its own on a stand, the services that a test starts, and what it asks of them."""

    def __init__(
        self,
        stand: Stand,
        folder: Path,
        proxied: Iterable[str] = (),
        log_level: str = "info",
        partitions: int = PARTITIONS,
        look_s: float | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """look_s: how often services look at the topics; None: as they do. settings: put over those that are ours."""
        self.folder = folder
        self.broker = stand.broker
        self.receiver = Receiver()
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.ports = {name: free_broker_port() for name in SERVICES}
        self.prefix = f"t{uuid4().hex[:8]}."
        self.repository = "ns/app"
        """Of pipelines and pushes where a test names no other."""
        self.proxies = {name: KafkaProxy(*stand.proxy_ports[name]) for name in proxied}
        self.http: aiohttp.ClientSession
        self._log_level = log_level
        self._partitions = partitions
        self._look_s = look_s
        self.settings = dict(settings)
        """Of services that are started from now on."""
        self.jwt = ""
        self._tests = 0

    @contextlib.asynccontextmanager
    async def running(self, *services: str) -> AsyncIterator["System"]:
        """These services, or all four."""
        async with self.prepared():
            await asyncio.gather(*(self.start(name) for name in services or SERVICES))
            yield self

    @contextlib.asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Topics, receiver and proxies; no service yet."""
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        await self.receiver.start()
        for proxy in self.proxies.values():
            await proxy.start()
        try:
            await self.make_topics()
            yield
        finally:
            for name in list(self.processes):
                await self.kill(name)
            for proxy in self.proxies.values():
                await proxy.stop()
            await self.receiver.stop()
            await self.http.close()

    async def make_topics(self) -> None:
        await create_topics(self.cluster(), partitions=self._partitions)

    async def renew(self) -> None:
        """For the next of the tests that share it: everything runs, nothing is held, and it has a repository of its own."""
        self._tests += 1
        self.repository = f"ns/app{self._tests}"
        self.receiver.posts.clear()
        self.receiver.answer = None
        for proxy in self.proxies.values():
            proxy.release()
        await asyncio.gather(*(self.start(name) for name in SERVICES if name not in self.processes))
        await until(self._are_ready)  # the test before may have taken the broker away

    def cluster(self) -> KafkaCluster:
        """Straight to the broker, past every proxy."""
        return KafkaCluster(self.broker.bootstrap_servers, self.prefix, client_id="test")

    # ---- processes

    def environment(self, service: str = "") -> dict[str, str]:
        port = (
            self.proxies[service].port
            if service in self.proxies
            else int(self.broker.bootstrap_servers.rpartition(":")[2])
        )
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOOKLINE_")},
            **{f"HOOKLINE_{setting}": str(self.ports[name]) for name, setting in SERVICES.items()},
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "HOOKLINE_TOPIC_PREFIX": self.prefix,
            "HOOKLINE_PARTITIONS": str(self._partitions),
            "HOOKLINE_MASTER_KEYS": MASTER_KEY,
            "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
            "HOOKLINE_INGRESS_TOKENS": TOKEN,
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_DATA_DIR": str(self.folder),
            "HOOKLINE_SESSION_TIMEOUT_MS": "3000",
            "HOOKLINE_GROUP_INSTANCE_ID": service,
            "HOOKLINE_LOG_LEVEL": self._log_level,
            **self.settings,
        }

    async def start(self, service: str) -> None:
        """Start it and wait until it is ready."""
        await self.spawn(service)
        await until(lambda: self.is_ready(service))

    async def spawn(self, service: str) -> None:
        """Start it."""
        log = (self.folder / f"{service}.log").open("ab")
        run = ["-m", f"services.{service}"] if self._look_s is None else ["-c", looking(service, self._look_s)]
        self.processes[service] = await asyncio.create_subprocess_exec(
            sys.executable, *run, env=self.environment(service), stdout=log, stderr=log
        )
        log.close()

    async def is_ready(self, service: str) -> bool:
        process = self.processes[service]
        assert process.returncode is None, (self.folder / f"{service}.log").read_text()[-3000:]
        try:
            async with self.http.get(f"http://127.0.0.1:{self.ports[service] + 1000}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _are_ready(self) -> bool:
        return all([await self.is_ready(service) for service in self.processes])

    async def stop(self, service: str) -> None:
        """SIGTERM, and the end that it asks for."""
        process = self.processes.pop(service)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 90) == 0

    async def kill(self, service: str) -> None:
        """kill -9."""
        process = self.processes.pop(service)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()

    # ---- public HTTP

    def url(self, service: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    async def console(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        """An answer of the console's API, logged in."""
        headers = {"Authorization": f"JWT {await self.token()}"}
        async with self.http.request(method, self.url("console", path), json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def token(self) -> str:
        """An administrator's, of the console."""
        if not self.jwt:
            login = {"username": "admin", "password": PASSWORD}
            async with self.http.post(self.url("console", "/v2/users/login/"), json=login) as answer:
                self.jwt = (await answer.json())["token"]
        return self.jwt

    async def make_pipeline(self, *hooks: str, repository: str = "", **settings: object) -> dict[str, object]:
        webhooks = [{"name": name, "hook_url": self.receiver.url(name)} for name in hooks]
        path = f"/v2/repositories/{repository or self.repository}/webhook_pipeline/"
        status, body = await self.console("POST", path, {"name": "ci", "webhooks": webhooks, **settings})
        assert status == 201, body
        return body

    async def push(self, tag: str = "v1", repository: str = "") -> int:
        """POST a Docker Hub push; the status, or 0 where no answer came."""
        repository = repository or self.repository
        namespace, _, name = repository.partition("/")
        body = {
            "push_data": {"pushed_at": 1417566161, "pusher": "me", "tag": tag},
            "repository": {"repo_name": repository, "namespace": namespace, "name": name, "status": "Active"},
        }
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with self.http.post(self.url("ingress", "/events/dockerhub"), json=body, headers=headers) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def call_back(self, body: dict[str, object], state: str = "success") -> tuple[int, str]:
        """Answer a hook as its receiver; (0, "") where no answer came."""
        try:
            async with self.http.post(str(body["callback_url"]), json={"state": state}) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def history(self, repository: str = "") -> list[dict[str, object]]:
        path = f"/v2/repositories/{repository or self.repository}/webhook_pipeline/ci/history/"
        _, body = await self.console("GET", path)
        return body["results"]  # type: ignore[return-value]

    # ---- the log, read past every proxy

    async def raw(self, topic: Topic) -> list[RawRecord]:
        """Every record that lies in that topic now."""
        cluster = self.cluster()
        offsets, consumer = await cluster.offsets(), await cluster.consumer()
        try:
            places = [Place(topic, p) for p in range(await cluster.partitions(topic))]
            starts, ends = await offsets.starts(places), await offsets.ends(places)
            consumer.assign(starts)
            left = sum(ends[place] - starts[place] for place in places)
            records: list[RawRecord] = []
            while len(records) < left:
                for batch in (await consumer.poll(1)).values():
                    records += batch
            return records
        finally:
            await consumer.close()
            await offsets.close()

    async def records(self, topic: Topic, kind: type | None = None) -> list[Record]:
        decoded = [decode(raw) for raw in await self.raw(topic)]
        return [record for record in decoded if kind is None or isinstance(record.event, kind)]

    async def own_records(self, topic: Topic, kind: type | None = None) -> list[Record]:
        """Of pushes of `repository`: a system that tests share has others."""
        keys = await self._own_keys()
        return [record for record in await self.records(topic, kind) if record.raw.key in keys]

    async def own_reads(self) -> list[Read]:
        keys = await self._own_keys()
        return [read for read in await self.reads() if read.record.raw.key in keys]

    async def _own_keys(self) -> set[bytes | None]:
        """Push ids: the key of every record in the four logs."""
        pushes = await self.records(Topic.PUSHES, PushReceived)
        return {
            r.raw.key for r in pushes if isinstance(r.event, PushReceived) and r.event.repository == self.repository
        }

    async def reads(self) -> list[Read]:
        """The four logs as every reader judges them."""
        logs = {topic: await self.raw(topic) for topic in LOGS}
        found: list[Read] = []
        for partition in range(self._partitions):
            reader = PartitionReader(partition, Positions())
            for topic in LOGS:
                reader.offer(topic, [raw for raw in logs[topic] if raw.place.partition == partition])
            found += reader.read()
        return found
