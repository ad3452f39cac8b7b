"""A console over the in-memory cluster, with real HTTP on loopback."""

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import ClientSession, web

from hookline.chain.keys import KeyRing
from hookline.clock import SystemClock
from hookline.log.cluster import Consumer, Producer
from hookline.log.records import Draft, Place, RawRecord
from hookline.log.table import PipelineTable
from hookline.log.watch import LogState
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from hookline.web.addresses import IPAddress
from hookline.web.hook_rules import HookRules
from hookline.web.service import app_runner
from services.console.api.app import Parts, build_app
from services.console.commands import Commands
from services.console.login_limit import LoginLimit
from services.console.pages.app import add_pages
from services.console.pipelines import Pipelines
from services.console.readmodel.database import open_database
from services.console.readmodel.history import History
from services.console.readmodel.projector import Projector
from services.console.secret_access import HookSecrets
from services.console.session_store import open_session_store
from services.console.sessions import Sessions
from tests.kit.waiting import until
from tests.unit.console.contract import fits
from tests.unit.console.histories import LOG_ID
from tests.unit.console.histories import History as Writing

PARTITIONS = 3
KEY = f"k1:{base64.b64encode(bytes(range(32))).decode()}"
LATE_S = 0.03
KEYS = KeyRing.parse([KEY])
PASSWORD = "correct horse battery staple"


class Appends:
    """The console's writer; `fail` makes the next append end so."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.fail: Exception | None = None
        self.lose_answer: Exception | None = None

    async def append(self, draft: Draft) -> int:
        if self.fail is not None:
            raise self.fail
        offset = await self._producer.append(draft)
        if self.lose_answer is not None:
            raise self.lose_answer
        return offset


class LateReads:
    """A cluster whose records reach their readers late: who must see what was just written has to wait for it."""

    def __init__(self, cluster: MemoryCluster, late_s: float) -> None:
        self._cluster = cluster
        self._late_s = late_s
        self.producer, self.group = cluster.producer, cluster.group
        self.offsets, self.partitions = cluster.offsets, cluster.partitions

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        consumer = await self._cluster.consumer()
        poll = consumer.poll

        async def late(timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
            found = await poll(timeout_s)
            await asyncio.sleep(self._late_s)
            return found

        consumer.poll = late  # type: ignore[method-assign]
        return consumer


@dataclass
class Running:
    """What a test talks to. `writing`: the other services' records."""

    cluster: MemoryCluster
    writing: Writing
    http: ClientSession
    base: str
    clock: ManualClock
    projector: Projector
    appends: Appends
    app: web.Application
    token: str = ""
    names: dict[str, Sequence[IPAddress]] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.base.removeprefix("http://").partition(":")
        return host, int(port)

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """Status and JSON of an answer, signed in; the answer is as docs/openapi/console.yaml says."""
        headers = {"Authorization": f"JWT {self.token}"} | dict(options.pop("headers", {}))
        async with self.http.request(method, self.base + path, json=body, headers=headers, **options) as answer:
            said = await answer.json() if answer.content_type == "application/json" else None
            fits(method, path, answer.status, said)
            return answer.status, said

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def make(self, repository: str = "acme/app", **body: object) -> Any:
        """A pipeline, by the API."""
        full = {"name": "ci", "webhooks": [{"hook_url": "http://receiver.example/hook"}]} | body
        status, made = await self.call("POST", f"/v2/repositories/{repository}/webhook_pipeline/", full)
        assert status == 201, made
        return made

    async def projected(self) -> None:
        """All that is in the logs is in the database."""
        await self.projector.progress.caught_up()

    def records(self, topic: Any, partition: int = 0) -> list[Any]:
        return self.cluster.log(Place(topic, partition))


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    cluster: MemoryCluster | None = None,
    settings: Mapping[str, object] | None = None,
    late_s: float = LATE_S,
) -> AsyncIterator[Running]:
    """A console whose pipelines and logs are read; on `cluster`, where another one may run too."""
    if cluster is None:
        cluster = MemoryCluster(PARTITIONS)
        Writing(cluster, PARTITIONS).begin()
    made = Settings(data_dir=folder, master_keys=[KEY], admin_password=PASSWORD, **(settings or {}))
    keys, clock, ids = made.key_ring(), ManualClock(), itertools.count(1)
    names: dict[str, Sequence[IPAddress]] = {"receiver.example": [ip_address("93.184.215.14")]}

    async def resolve(host: str) -> Sequence[IPAddress]:
        if host not in names:
            raise OSError("no such name")
        return names[host]

    async def check_log() -> LogState:
        return LogState(LOG_ID)

    late, database = LateReads(cluster, late_s), open_database(made)
    table = PipelineTable(late)
    appends = Appends(await cluster.producer())
    projector = Projector(late, check_log, database, SystemClock())
    history = History(database)
    prefix = folder.name
    new_id = lambda: f"{prefix}-{next(ids)}"  # noqa: E731
    sessions = Sessions(made, keys, clock, open_session_store(made), lambda: str(uuid4()))
    networks, rules = made.allow_private_addresses, HookRules.of(made)
    pipelines = Pipelines(table, appends, clock, new_id, keys.first, networks, rules, resolve, made.registry_names())
    commands = Commands(history, projector.progress, appends, clock, new_id, pipelines.secrets_of_today)
    parts = Parts(sessions, LoginLimit(clock), HookSecrets(pipelines, keys), pipelines, history, commands)
    app = build_app(parts, made)
    add_pages(app, parts, clock, new_id)
    tasks = [asyncio.create_task(table.run()), asyncio.create_task(projector.run(PARTITIONS))]
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    token = (await sessions.begin("192.0.2.7", "API")).token
    try:
        async with ClientSession() as http:
            base = "http://{}:{}".format(*runner.addresses[0])
            writing = Writing(cluster, PARTITIONS, now=clock.now_ms())
            console = Running(cluster, writing, http, base, clock, projector, appends, app, token, names)
            await until(lambda: projector.progress.current and table.position > 0)
            yield console
    finally:
        await runner.cleanup()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        database.close()
        sessions.close()
