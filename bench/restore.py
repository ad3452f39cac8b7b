"""How long a fresh dispatcher takes to act with many open chains, its memory, and how both grow: `python -m bench.restore`.

Chains are opened through the real fold: a PushReceived with a distinct 2 KB payload and a plan of three hooks, then its
HookDelivered under a Fence, so that each waits for the callback of its first step. Measured twice: from the log alone
(no checkpoint yet), and from the snapshot that the first one wrote. "Acts" is a callback, appended once it is ready,
until the second hook is received.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4, uuid5

from aiohttp import web

from bench.pushes import a_payload
from bench.stage import Stage, stage
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

SIZES = (10_000, 30_000, 100_000)
BATCH = 2_000
HOUR_MS = 3_600_000


def a_plan(port: int) -> Plan:
    hooks = tuple(
        HookPlan(id=f"hook-{n}", version=1, key="k1", name=str(n), url=f"http://127.0.0.1:{port}/{n}")
        for n in (1, 2, 3)
    )
    return Plan(
        n=0, pipeline_id=str(uuid5(UUID(int=0), "bench")), name="ci", slug="ci", expect_final_callback=True,
        callback_deadline_s=86_400, timeout_s=15, retry_delays_s=(5, 300), hooks=hooks,
    )  # fmt: skip


async def open_chains(on: Stage, count: int, port: int) -> str:
    """Append what opens them; the id of the last."""
    draw, now, plan = random.Random(count), time.time_ns() // 1_000_000, a_plan(port)
    writer = Writer(on.cluster())
    writer.start()
    fences = [
        await writer.append(encode(Fence(owner="bench", fenced_at=now), p, now_ms=now)) for p in range(on.partitions)
    ]
    last = ""

    async def open_one(number: int) -> None:
        nonlocal last
        push = str(uuid4())
        partition = partition_of(push, on.partitions)
        payload = a_payload(number, draw)
        event = PushReceived(
            push_id=push, source="dockerhub", received_at=now, dedupe_window_s=3600, pushed_at=now, repository="bench/app",
            tag=f"v{number}", payload=payload, raw=json.dumps(payload), settings_offset=1, plans=(plan,),
        )  # fmt: skip
        offset = await writer.append(encode(event, partition, now_ms=now))
        chain_id = str(ChainId(push, offset, 0, 0))
        delivered = HookDelivered(
            cause=offset, chain_id=chain_id, step=1, attempt=1, started_at=now, took_ms=2, status=200,
            expires_at=now + 24 * HOUR_MS, read_to=ReadTo(pushes=offset + 1, callbacks=0, commands=0), decided_at=now,
        )  # fmt: skip
        await writer.append(encode(delivered, partition, now_ms=now, fence=fences[partition]))
        last = chain_id

    for at in range(0, count, BATCH):
        await asyncio.gather(*(open_one(n) for n in range(at, min(count, at + BATCH))))
        show(f"opening {at + BATCH:,} of {count:,} chains")
    await writer.close()
    return last


async def seconds_to_act(on: Stage, chain_id: str, received: asyncio.Event) -> float:
    """From a callback's append until the second hook is received."""
    parsed, now = ChainId.parse(chain_id), time.time_ns() // 1_000_000
    writer = Writer(on.cluster())
    writer.start()
    event = CallbackReceived(
        cause=parsed.cause, chain_id=chain_id, step=1, state=Verdict.SUCCESS, received_at=now, remote_ip="127.0.0.1"
    )
    began = time.perf_counter()
    await writer.append(encode(event, partition_of(parsed.push_id, on.partitions), now_ms=now))
    await asyncio.wait_for(received.wait(), 30)
    took = time.perf_counter() - began
    await writer.close()
    return took


async def measure(count: int, partitions: int) -> dict[str, float]:
    """One size: seconds and bytes."""
    received = asyncio.Event()

    async def receive(_: web.Request) -> web.Response:
        received.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/{step}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with stage(partitions) as on:
        await on.start("dispatcher")
        empty = on.memory("dispatcher")
        await on.stop("dispatcher")
        chain_id = await open_chains(on, count, runner.addresses[0][1])
        show(f"{count:,} chains: restoring from the log")
        from_log = await on.start("dispatcher")
        callbacks = await on.start("callbacks")
        acts = await seconds_to_act(on, chain_id, received)
        await on.stop("dispatcher")  # takes a last checkpoint
        show(f"{count:,} chains: restoring from the snapshot")
        from_snapshot = await on.start("dispatcher")
        memory = on.memory("dispatcher")
    await runner.cleanup()
    show("")
    return {
        "seconds": from_snapshot,
        "seconds_from_log": from_log,
        "callbacks_seconds": callbacks,
        "act_seconds": acts,
        "bytes_per_chain": (memory - empty) / count,
    }


def show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def growth(found: dict[int, dict[str, float]], key: str) -> str:
    """Seconds as a + b * chains through the smallest and the largest size, and how far the middle lies off that line."""
    low, *_, high = found
    slope = (found[high][key] - found[low][key]) / (high - low)
    base = found[low][key] - slope * low
    off = max(abs(values[key] - (base + slope * n)) / values[key] for n, values in found.items())
    return f"{key}: {base:.2f} s + {slope * 1e6:.1f} s per million chains; no size is more than {off:.0%} off that line"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of open chains, comma-separated")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    args = parser.parse_args()
    found = {}
    print(
        f"{'open chains':>12} {'ready s':>9} {'from log s':>11} {'callbacks s':>12} {'acts ms':>8} {'bytes/chain':>12}"
    )
    for size in map(int, args.sizes.split(",")):
        found[size] = got = await measure(size, args.partitions)
        print(
            f"{size:>12,} {got['seconds']:>9.2f} {got['seconds_from_log']:>11.2f} {got['callbacks_seconds']:>12.2f}"
            f" {got['act_seconds'] * 1000:>8.1f} {got['bytes_per_chain']:>12,.0f}",
            flush=True,
        )
    if len(found) > 1:
        print(growth(found, "seconds"), growth(found, "seconds_from_log"), sep="\n")
    if args.json:
        args.json.write_text(json.dumps({"restore": found}, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
