"""The design's floor: the least program that makes of a push what the design says is made of it, and keeps none of its promises.

`python -m bench.design ingress|dispatcher|callbacks|readmodel --kafka HOST:PORT --port N [--hook URL]`

Where `bench.floor` is what the stack costs, this is what the events cost: a push is planned at the end of `pipelines`, becomes a
whole PushReceived, its hook a HookDelivered that is read back before ChainCompleted follows; a second program reads and decodes
all of it, a third writes it into a database. With Hookline's own codec, clients and paces, but without fold, memory, fence,
order of causes, retries, timers, limits, address guard, metrics and pages: nothing here would survive a crash or a bad request.
Between this and Hookline lies what can still be made faster; below it only another design, or another language.
"""

import asyncio
import base64
import contextlib
import hmac
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import aiohttp
from aiohttp import web
from pydantic_core import from_json, to_json

from bench.program import IN_FLIGHT, SECRET, Program, ended, listen, run
from hookline.chain.events import ChainCompleted, HookDelivered, HookPlan, Plan, PushReceived, ReadTo
from hookline.chain.ids import ChainId, partition_of, push_id, webhook_id
from hookline.chain.pipeline_settings import DEFAULT_RETRY_DELAYS_S
from hookline.kafka.consumer import KafkaConsumer
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Consumer
from hookline.log.codec import Record, decode, encode
from hookline.log.ends import SharedEnds
from hookline.log.records import PIPELINES, Place, RawRecord, Topic, logs_of

__all__ = ["PARTS", "PREFIX"]

PREFIX = "design."
LOG_ID = UUID(int=0)
DEADLINE_S = 86_400
FENCE = 0
DISPATCHER_GATHER_MS, CALLBACKS_GATHER_MS, READMODEL_GATHER_MS = 25, 50, 200
"""As Hookline's dispatcher, callbacks and console."""
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE pushes (push_id TEXT PRIMARY KEY, received_at INTEGER, repository TEXT, tag TEXT, payload BLOB);
CREATE TABLE chains (chain_id TEXT PRIMARY KEY, push_id TEXT, status TEXT);
CREATE TABLE events (chain_id TEXT, decided_at INTEGER, type TEXT, body BLOB);
"""


async def ingress(kafka: str, port: int, hook: str) -> None:
    cluster = _cluster(kafka)
    producer, partitions = await cluster.producer(), await cluster.partitions(Topic.PUSHES)
    ends = SharedEnds(await cluster.offsets(), (PIPELINES,))
    plan = Plan(
        n=0, pipeline_id=str(LOG_ID), name="ci", slug="ci", expect_final_callback=False, callback_deadline_s=DEADLINE_S,
        timeout_s=15, retry_delays_s=DEFAULT_RETRY_DELAYS_S,
        hooks=(HookPlan(id=str(LOG_ID), version=1, key="k1", name="1", url=hook),),
    )  # fmt: skip

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        settings_offset = (await ends.now())[PIPELINES]
        payload, now = from_json(body), _now_ms()
        push = PushReceived(
            push_id=push_id(LOG_ID, "dockerhub", None, body), source="dockerhub", received_at=now, dedupe_window_s=3600,
            pushed_at=now, repository=payload["repository"]["repo_name"], tag=payload["push_data"]["tag"],
            pusher=payload["push_data"]["pusher"], payload=payload, raw=body.decode(), settings_offset=settings_offset,
            headers={"content-type": request.content_type}, plans=(plan,),
        )  # fmt: skip
        await producer.send(encode(push, partition_of(push.push_id, partitions), now_ms=now))
        return web.json_response({"accepted": 1, "duplicates": 0, "ignored": 0}, status=202)

    app = web.Application()
    app.router.add_post("/events/dockerhub", receive)
    await listen(app, port)
    await ended()


async def dispatcher(kafka: str, port: int, _: str) -> None:
    cluster = _cluster(kafka)
    producer = await cluster.producer()
    consumer = KafkaConsumer(cluster.connection, DISPATCHER_GATHER_MS, (Topic.PUSHES, Topic.CALLBACKS))
    await consumer.start()
    places, under_way = asyncio.Semaphore(IN_FLIGHT), set[asyncio.Task[None]]()

    def take(batch: Mapping[Place, Sequence[RawRecord]]) -> None:
        for record in _decoded(batch):
            match record.event:
                case PushReceived() as push:
                    work = deliver(record, push)
                case HookDelivered() as delivered:
                    work = complete(record, delivered)
                case _:
                    continue
            task = asyncio.create_task(work)
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def deliver(record: Record, push: PushReceived) -> None:
        async with places:
            delivered = await _post(http, record, push)
        await producer.send(encode(delivered, record.partition, now_ms=delivered.decided_at, fence=FENCE))

    async def complete(record: Record, delivered: HookDelivered) -> None:
        completed = ChainCompleted(
            cause=delivered.cause, chain_id=delivered.chain_id, step=1, read_to=delivered.read_to, decided_at=_now_ms()
        )
        await producer.send(encode(completed, record.partition, now_ms=completed.decided_at, fence=FENCE))

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"Content-Type": "application/json"}
    ) as http:
        await _read(cluster, consumer, port, take)


async def callbacks(kafka: str, port: int, _: str) -> None:
    cluster = _cluster(kafka)
    consumer = await cluster.consumer(CALLBACKS_GATHER_MS)
    await _read(cluster, consumer, port, _decoded)


async def readmodel(kafka: str, port: int, _: str) -> None:
    cluster = _cluster(kafka)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(sqlite3.connect(Path(folder, "db"))) as database:
        database.executescript(TABLES)
        consumer = await cluster.consumer(READMODEL_GATHER_MS)
        await _read(cluster, consumer, port, lambda batch: _project(database, _decoded(batch)))


def _cluster(kafka: str) -> KafkaCluster:
    return KafkaCluster(kafka, PREFIX, client_id="design")


async def _read(
    cluster: KafkaCluster, consumer: Consumer, port: int, take: Callable[[Mapping[Place, Sequence[RawRecord]]], object]
) -> None:
    """All four logs from their beginning, until SIGTERM."""
    partitions = await cluster.partitions(Topic.PUSHES)
    consumer.assign({place: 0 for partition in range(partitions) for place in logs_of(partition)})

    async def read() -> None:
        while True:
            take(await consumer.poll(1))

    reading = asyncio.create_task(read())
    await listen(web.Application(), port)
    await ended()
    reading.cancel()


async def _post(http: aiohttp.ClientSession, record: Record, push: PushReceived) -> HookDelivered:
    chain_id, now, began = str(ChainId(push.push_id, record.offset, 0, 0)), _now_ms(), time.perf_counter()
    token = hmac.digest(SECRET, f"{chain_id}{push.repository}".encode(), "sha256").hex()
    body = to_json({"callback_url": f"http://127.0.0.1/u/{push.repository}/hook/{token}/", **push.payload})
    name, second = webhook_id(chain_id, 1), str(now // 1000)
    signed = hmac.digest(SECRET, b"%b.%b.%b" % (name.encode(), second.encode(), body), "sha256")
    headers = {
        "webhook-id": name, "webhook-timestamp": second, "webhook-signature": f"v1,{base64.b64encode(signed).decode()}"
    }  # fmt: skip
    async with http.post(push.plans[0].hooks[0].url, data=body, headers=headers) as answer:
        await answer.read()
    return HookDelivered(
        cause=record.offset, chain_id=chain_id, step=1, attempt=1, started_at=now, status=answer.status,
        took_ms=round((time.perf_counter() - began) * 1000), expires_at=now + DEADLINE_S * 1000,
        read_to=ReadTo(pushes=record.offset + 1, callbacks=0, commands=0), decided_at=_now_ms(),
    )  # fmt: skip


def _project(database: sqlite3.Connection, records: Sequence[Record]) -> None:
    """One transaction: a push and its chain, each event, and what became of the chain."""
    pushes = [(record, record.event) for record in records if isinstance(record.event, PushReceived)]
    decisions = [
        (record, record.event) for record in records if isinstance(record.event, HookDelivered | ChainCompleted)
    ]
    with database:
        database.executemany(
            "INSERT INTO pushes VALUES (?, ?, ?, ?, ?)",
            [(e.push_id, e.received_at, e.repository, e.tag, zlib.compress(to_json(e.payload), 1)) for _, e in pushes],
        )
        database.executemany(
            "INSERT INTO chains VALUES (?, ?, 'running')",
            [(str(ChainId(e.push_id, record.offset, 0, 0)), e.push_id) for record, e in pushes],
        )
        database.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [(e.chain_id, e.decided_at, type(e).__name__, record.raw.value) for record, e in decisions],
        )
        database.executemany(
            "UPDATE chains SET status = 'success' WHERE chain_id = ?",
            [(e.chain_id,) for _, e in decisions if isinstance(e, ChainCompleted)],
        )


def _decoded(batch: Mapping[Place, Sequence[RawRecord]]) -> list[Record]:
    return [decode(raw) for records in batch.values() for raw in records]


def _now_ms() -> int:
    return int(time.time() * 1000)


PARTS: dict[str, Program] = {
    "ingress": ingress, "dispatcher": dispatcher, "callbacks": callbacks, "readmodel": readmodel
}  # fmt: skip
"""`readmodel` does with the log what Hookline's console does; it has no HTTP of the console's."""

if __name__ == "__main__":
    run(PARTS, __doc__)
