"""ingress over an in-memory cluster, through real HTTP."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientResponse, ClientSession, web

from hookline.audit.findings import Wrong
from hookline.audit.pipelines import PipelineHistory
from hookline.audit.pushes import PushJudge
from hookline.chain.events import PushReceived, Quarantined
from hookline.chain.pipeline import Hook, LogId, Pipeline
from hookline.clock import Clock
from hookline.log.codec import decode, encode_setting
from hookline.log.records import PIPELINES, Draft, Place, RawRecord, Topic
from hookline.log.table import PipelineTable
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from hookline.web.service import app_runner
from services.ingress.app import Door, ingress_app
from services.ingress.credentials import Credentials
from services.ingress.digests import DigestTail
from services.ingress.intake import Intake
from services.ingress.issuers import Issuer
from services.ingress.rereading import Rereader
from services.ingress.sources import discover

DATA = Path(__file__).parents[2] / "data"
LOG_ID = UUID("5f1b2ad2-6ad5-4f0e-8d4e-2f3d6f9f0a11")
TOKEN = "marked-token-7c1f"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SECRETS = {"github": ("github-secret-1", "github-secret-0"), "nexus": ("nexus-secret",)}
"""Of the sources that take no token."""
MAPPING = Settings(
    generic_repository="name",
    generic_tag="versions[0]",
    generic_pusher="publisher",
    generic_registry="registry",
    generic_digest="digest",
    generic_id="id",
    generic_when="publishedPackage || versions",
)
"""Of the source `generic`: Verdaccio's publish."""
SOURCES = discover(MAPPING)
READER = Rereader()
PARTITIONS = 12
NOW = 1_795_492_263_000


class ProducerAppender:
    """Appends over one producer, with a hand on it: hold, break, count."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.gate = asyncio.Event()
        self.gate.set()
        self.appending = asyncio.Event()
        self.taken: set[tuple[Place, int]] = set()
        """Where everything lies that was appended."""

    async def append(self, draft: Draft) -> int:
        self.appending.set()
        await self.gate.wait()
        offset = await (await self._cluster.producer()).append(draft)
        self.taken.add((draft.place, offset))
        return offset


class Ingress:
    """What a test holds: the client, the logs, and the hands on them."""

    def __init__(
        self,
        cluster: MemoryCluster,
        client: ClientSession,
        address: tuple[str, int],
        appender: ProducerAppender,
        clock: ManualClock,
        app: web.Application,
    ) -> None:
        self.cluster, self.client, self.address, self.appender, self.clock = cluster, client, address, appender, clock
        self.app = app

    async def post(
        self, source: str, body: bytes | str, headers: Mapping[str, str] = BEARER, query: str = ""
    ) -> ClientResponse:
        return await self.client.post(f"/events/{source}{query}", data=body, headers=headers, allow_redirects=False)

    async def deliver(self, source: str, body: bytes | str, headers: Mapping[str, str] = BEARER) -> dict[str, int]:
        """Post what must be answered 202; the answer."""
        answer = await self.post(source, body, {"Content-Type": "application/json", **shown(source, body), **headers})
        assert answer.status == 202, await answer.text()
        tally: dict[str, int] = await answer.json()
        return tally

    @staticmethod
    def credential(source: str, body: bytes | str) -> dict[str, str]:
        return shown(source, body)

    def raw_pushes(self) -> list[RawRecord]:
        return [raw for p in range(PARTITIONS) for raw in self.cluster.log(Place(Topic.PUSHES, p))]

    def pushes(self) -> list[PushReceived]:
        events = [decode(raw).event for raw in self.raw_pushes()]
        return [event for event in events if isinstance(event, PushReceived)]

    def wrong(self) -> list[Wrong]:
        """What an audit finds at the pushes that it took."""
        pipelines = PipelineHistory(self.cluster.log(PIPELINES))
        judge = PushJudge(pipelines, LOG_ID, READER, Counter())
        records = [decode(raw) for raw in self.raw_pushes() if (raw.place, raw.offset) in self.appender.taken]
        return [
            wrong
            for record in records
            if isinstance(record.event, PushReceived)
            for wrong in judge.judge(record, record.event)
        ]

    def quarantine(self) -> list[Quarantined]:
        return [
            Quarantined.model_validate_json(raw.value or b"") for raw in self.cluster.log(Place(Topic.QUARANTINE, 0))
        ]

    def everything(self) -> bytes:
        """All that lies in the two topics, as bytes."""
        records = [*self.raw_pushes(), *self.cluster.log(Place(Topic.QUARANTINE, 0))]
        return b"\n".join(b"%r %r %r" % (raw.key, raw.value, dict(raw.headers)) for raw in records)

    def set_pipeline(self, pipeline: Pipeline) -> int:
        return self.cluster.append(encode_setting(pipeline, now_ms=NOW))


def credentials(
    name: str, tokens: tuple[str, ...], secrets: Mapping[str, tuple[str, ...]], issuers: tuple[Issuer, ...] = ()
) -> Credentials:
    own = tuple(secret.encode() for secret in secrets.get(name, ()))
    return Credentials(tuple(token.encode() for token in tokens), own, issuers if name == "gar" else ())


def shown(source: str, body: bytes | str) -> dict[str, str]:
    """Headers with a good credential."""
    sent = body.encode() if isinstance(body, str) else body
    return SOURCES[source].present(sent, credentials(source, (TOKEN,), SECRETS))


@asynccontextmanager
async def running(
    cluster: MemoryCluster | None = None,
    *,
    tokens: tuple[str, ...] = (TOKEN,),
    answer_s: float = 60.0,
    secrets: Mapping[str, tuple[str, ...]] = SECRETS,
    issuers: tuple[Issuer, ...] = (),
    settings: Settings = MAPPING,
    is_open: bool = False,
    goes: Clock | None = None,
    known: Mapping[str, Credentials] | None = None,
) -> AsyncIterator[Ingress]:
    """`known`: what each source is checked against, in place of tokens, secrets and issuers.

    `goes`: the clock of limits, in place of one that stands still until a test moves it.
    `cluster`: of another one that ran, whose clock goes on. `answer_s`: long, so that a busy machine is not taken for a Kafka that is away.

    At its end every push is read again, as an audit does, and compared with what it was made of.
    """
    clock = ManualClock(NOW)
    if cluster is None:
        cluster = MemoryCluster(PARTITIONS)
        cluster.append(encode_setting(LogId(log_id=LOG_ID), now_ms=NOW))
    cluster.clock = clock
    table, appender = PipelineTable(cluster), ProducerAppender(cluster)
    digests = DigestTail(cluster, PARTITIONS)
    intake = Intake(table, digests, appender, PARTITIONS, names=settings.registry_names(), answer_s=answer_s)
    doors = {
        name: Door(source, known[name] if known else credentials(name, tokens, secrets, issuers), is_open)
        for name, source in discover(settings, clock).items()
    }
    app = ingress_app(doors, lambda: intake, goes or clock, settings)
    tails = [asyncio.create_task(table.run()), asyncio.create_task(digests.run())]
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with ClientSession(f"http://{host}:{port}") as client:
        await table.wait_for(1)
        it = Ingress(cluster, client, (host, port), appender, clock, app)
        yield it
        assert it.wrong() == []
    await runner.cleanup()
    for tail in tails:
        tail.cancel()
    await asyncio.gather(*tails, return_exceptions=True)


@pytest.fixture
async def ingress() -> AsyncIterator[Ingress]:
    async with running() as it:
        yield it


def hook(name: str, url: str = "http://receiver.test/hook") -> Hook:
    return Hook(id=name, key="k1", name=name, url=url, created_at=1, updated_at=1)


def pipeline(repository: str, *, registry: str | None = None, name: str = "ci", **more: Any) -> Pipeline:
    return Pipeline(
        **{
            "pipeline_id": f"id-{name}",
            "repository": repository,
            "registry": registry,
            "name": name,
            "slug": name,
            "hooks": (hook(f"hook-{name}"),),
            "created_at": 1,
            "updated_at": 1,
            **more,
        }
    )


def dockerhub_files() -> list[Path]:
    return sorted((DATA / "dockerhub").glob("*.json"))


def distribution_request(name: str) -> tuple[str, dict[str, str]]:
    """Body and headers of a captured request, without the ones of the connection."""
    request = json.loads((DATA / "distribution" / f"{name}.json").read_text())
    dropped = {"host", "content-length", "authorization", "accept-encoding", "connection"}
    headers = {key: value for key, value in request["headers"] if key.lower() not in dropped}
    return request["body_raw"], headers
