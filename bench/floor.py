"""The floor: the least program that does one delivery on this stack. It keeps no state and promises nothing after a crash.

`python -m bench.floor ingress|dispatcher --kafka HOST:PORT --port N [--hook URL]`

ingress: aiohttp, pydantic, one record produced with acks=all by an idempotent producer, 202 once it is acked.
dispatcher: consumes, signs with HMAC, POSTs, then appends two decisions and awaits their acks; no state.
Both answer `/readyz` on their port + 1000, as Hookline's services do. What Hookline costs beyond this is what it promises.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import zlib

import aiohttp
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from pydantic import BaseModel

from bench.program import IN_FLIGHT, SECRET, Program, ended, listen, run

PREFIX = "floor."
PUSHES = f"{PREFIX}pushes"
DECISIONS = f"{PREFIX}deliveries"


class PushData(BaseModel):
    pushed_at: int
    pusher: str
    tag: str
    images: list[str] = []


class Repository(BaseModel):
    status: str
    namespace: str
    name: str
    repo_name: str
    owner: str
    repo_url: str
    description: str
    full_description: str
    dockerfile: str
    star_count: int
    comment_count: int
    is_private: bool
    is_trusted: bool
    is_official: bool
    date_created: int


class Push(BaseModel):
    """Docker Hub's body."""

    push_data: PushData
    repository: Repository


def make_producer(kafka: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=0,
        max_batch_size=256 * 1024,
    )  # fmt: skip


async def ingress(kafka: str, port: int, _: str) -> None:
    producer = make_producer(kafka)
    await producer.start()
    partitions = len(await producer.partitions_for(PUSHES))

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        push = Push.model_validate_json(body)
        key = hashlib.sha256(body).hexdigest().encode()
        await producer.send_and_wait(
            PUSHES, push.model_dump_json().encode(), key=key, partition=zlib.crc32(key) % partitions
        )
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/events/dockerhub", receive)
    await listen(app, port)
    await ended()
    await producer.stop()


async def dispatcher(kafka: str, port: int, hook: str) -> None:
    producer = make_producer(kafka)
    await producer.start()
    consumer = AIOKafkaConsumer(
        PUSHES, bootstrap_servers=kafka, group_id="floor", auto_offset_reset="earliest", fetch_max_wait_ms=100
    )
    await consumer.start()
    places = asyncio.Semaphore(IN_FLIGHT)
    under_way: set[asyncio.Task[None]] = set()

    async def deliver(record: ConsumerRecord[bytes, bytes]) -> None:
        name, now = f"{record.partition}-{record.offset}", str(int(time.time()))
        signed = b"%b.%b.%b" % (name.encode(), now.encode(), record.value)
        signature = base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
        headers = {"webhook-id": name, "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
        async with http.post(hook, data=record.value, headers=headers) as answer:
            await answer.read()
        acks = [
            await producer.send(
                DECISIONS,
                json.dumps({"id": name, "is": what, "status": answer.status, "at": now}).encode(),
                key=record.key,
                partition=record.partition,
            )
            for what in ("delivered", "completed")
        ]
        await asyncio.gather(*acks)
        places.release()

    async def consume() -> None:
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            for records in fetched.values():
                for record in records:
                    await places.acquire()
                    task = asyncio.create_task(deliver(record))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"Content-Type": "application/json"}
    ) as http:
        consuming = asyncio.create_task(consume())
        await listen(web.Application(), port)
        await ended()
        consuming.cancel()
    await consumer.stop()
    await producer.stop()


PARTS: dict[str, Program] = {"ingress": ingress, "dispatcher": dispatcher}

if __name__ == "__main__":
    run(PARTS, __doc__)
