"""Restore: how long a fresh dispatcher takes to act with many open chains, its memory, and how both grow; callbacks likewise.

Chains are opened through the real fold: a PushReceived with a distinct 2 KB payload and a plan of three hooks, then its
HookDelivered under a Fence, so that each waits for the callback of its first step. Measured twice: from the log alone
(no checkpoint yet), and from the snapshot that the first dispatcher wrote when it was stopped. A callback for one of the chains
lies in the log before the dispatcher starts; it has acted when that chain's second hook is received.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple
from uuid import UUID, uuid4, uuid5

from bench.amounts import Amounts
from bench.figures import Figures, fit
from bench.hooks import Hooks
from bench.load import Receiver
from bench.pushes import a_payload
from bench.stage import SNAPSHOTS, Stage, stage
from hookline.chain.events import (
    CallbackReceived,
    Fence,
    HookDelivered,
    HookPlan,
    Plan,
    PushReceived,
    ReadTo,
    Verdict,
)
from hookline.chain.ids import ChainId, partition_of
from hookline.log.codec import encode
from hookline.log.writer import Writer

__all__ = ["measure"]

BATCH = 2_000
SAID_EVERY = 100_000
HOUR_MS = 3_600_000
MS = 1_000_000
"""Nanoseconds."""
FITTED = ("seconds", "seconds_from_log", "callbacks_seconds", "callbacks_seconds_from_log")


SETTLED_S = 3.0
"""After this a service that has become ready has given back what reading took (`hookline/web/process_memory.py`)."""


class Grown(NamedTuple):
    """What starting one process took: seconds until it was ready, and its PSS once it has settled."""

    ready_s: float
    memory: int


def a_plan(port: int) -> Plan:
    hooks = tuple(
        HookPlan(id=f"hook-{n}", version=1, key="k1", name=str(n), url=f"http://127.0.0.1:{port}/{n}")
        for n in (1, 2, 3)
    )
    return Plan(
        n=0, pipeline_id=str(uuid5(UUID(int=0), "bench")), name="ci", slug="ci", expect_final_callback=True,
        callback_deadline_s=86_400, timeout_s=15, retry_delays_s=(5, 300), hooks=hooks,
    )  # fmt: skip


async def open_chains(on: Stage, count: int, port: int, say: Callable[[str], None]) -> list[ChainId]:
    """Append what opens them; the ids of the last ones."""
    draw, now, plan = random.Random(count), time.time_ns() // MS, a_plan(port)
    fences: list[int] = []

    async def open_one(number: int) -> ChainId:
        push = str(uuid4())
        partition = partition_of(push, on.partitions)
        payload = a_payload(number, draw)
        event = PushReceived(
            push_id=push, source="dockerhub", received_at=now, dedupe_window_s=3600, pushed_at=now, repository="bench/app",
            tag=f"v{number}", payload=payload, raw=json.dumps(payload), settings_offset=1, plans=(plan,),
        )  # fmt: skip
        offset = await writer.append(encode(event, partition, now_ms=now))
        chain = ChainId(push, offset, 0, 0)
        delivered = HookDelivered(
            cause=offset, chain_id=str(chain), step=1, attempt=1, started_at=now, took_ms=2, status=200,
            expires_at=now + 24 * HOUR_MS, read_to=ReadTo(pushes=offset + 1, callbacks=0, commands=0), decided_at=now,
        )  # fmt: skip
        await writer.append(encode(delivered, partition, now_ms=now, fence=fences[partition]))
        return chain

    last: list[ChainId] = []
    async with writing(on) as writer:
        for partition in range(on.partitions):
            fence = Fence(owner="bench", fenced_at=now)
            fences.append(await writer.append(encode(fence, partition, now_ms=now)))
        for at in range(0, count, BATCH):
            last = await asyncio.gather(*(open_one(n) for n in range(at, min(count, at + BATCH))))
            if at and at % SAID_EVERY == 0:
                say(f"restore: opened {at:,} of {count:,} chains")
    return last


@contextlib.asynccontextmanager
async def writing(on: Stage) -> AsyncIterator[Writer]:
    writer = Writer(on.cluster())
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


async def call_back(on: Stage, chain: ChainId) -> float:
    """Append its first step's success; the time.perf_counter() before."""
    now = time.time_ns() // MS
    event = CallbackReceived(
        cause=chain.cause, chain_id=str(chain), step=1, state=Verdict.SUCCESS, received_at=now, remote_ip="127.0.0.1"
    )
    async with writing(on) as writer:
        began = time.perf_counter()
        await writer.append(encode(event, partition_of(chain.push_id, on.partitions), now_ms=now))
    return began


async def restart(on: Stage, name: str) -> Grown:
    """A fresh process of it."""
    if name in on.processes:
        await on.stop(name)  # a dispatcher takes a last checkpoint
    ready_s = await on.start(name)
    await asyncio.sleep(SETTLED_S)
    return Grown(ready_s, on.memory(name))


async def measure_one(count: int, say: Callable[[str], None]) -> Figures:
    """One size; keys without `restore.<chains>`."""
    hooks = Hooks()
    server, port = await Receiver.listen(hooks.seen)
    async with server, stage() as on:
        empty = {name: (await restart(on, name)).memory for name in ("dispatcher", "callbacks")}
        for name in empty:
            await on.stop(name)
        *_, first, second, third = await open_chains(on, count, port, say)

        async def fresh_dispatcher(chain: ChainId, acted: int) -> tuple[float, Grown]:
            """Seconds from its start until it acted on a callback that was in the log before."""
            for name in list(on.processes):  # callbacks, too: it would share in the PSS of what both have mapped
                await on.stop(name)
            await call_back(on, chain)
            began = time.perf_counter()
            grown = await restart(on, "dispatcher")
            await hooks.until(acted)
            return max(hooks.first.values()) - began, grown

        say(f"restore: {count:,} open chains, from the log alone")
        seconds_from_log, from_log = await fresh_dispatcher(first, 1)
        callbacks_from_log = await restart(on, "callbacks")
        say(f"restore: {count:,} open chains, from the snapshot")
        seconds, from_snapshot = await fresh_dispatcher(second, 2)
        began = await call_back(on, third)
        await hooks.until(3)
        act_s = max(hooks.first.values()) - began
        callbacks = await restart(on, "callbacks")
        return {
            "seconds": seconds,
            "callbacks_seconds": callbacks.ready_s,
            "bytes_per_chain": (from_snapshot.memory - empty["dispatcher"]) / count,
            "callbacks_bytes_per_chain": (callbacks.memory - empty["callbacks"]) / count,
            "callback_to_hook_ms": act_s * 1000,
            "seconds_from_log": seconds_from_log,
            "callbacks_seconds_from_log": callbacks_from_log.ready_s,
            "bytes_per_chain_from_log": (from_log.memory - empty["dispatcher"]) / count,
            "snapshot_bytes_per_chain": on.log_bytes().get(SNAPSHOTS, 0) / count,
        }


async def measure(amounts: Amounts, say: Callable[[str], None]) -> Figures:
    found = Figures()
    for count in amounts.restore:
        say(f"restore: opening {count:,} chains")
        found |= {f"restore.{count}.{key}": value for key, value in (await measure_one(count, say)).items()}
    return found | growth(found, amounts.restore)


def growth(found: Figures, counts: Sequence[int]) -> Figures:
    """Seconds as a line over the number of chains, and how far the size that lies farthest from it is off, as a part of its own."""
    made = Figures()
    for key in FITTED if len(counts) > 1 else ():
        line = fit({count: found[f"restore.{count}.{key}"] for count in counts})
        made |= {
            f"restore_fit.{key}.base_s": line.base,
            f"restore_fit.{key}.per_million_s": line.slope * 1_000_000,
            f"restore_fit.{key}.off": line.off,
        }
    return made
