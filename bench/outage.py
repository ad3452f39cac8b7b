"""After an outage: a receiver that was away for a day is back, and all its retries are due at the same moment. How long the
hooks of new pushes take meanwhile, at that receiver and at another one, against the same run without retries.

The chains are opened through the real fold, each a PushReceived and its HookAttemptFailed under a Fence. Measured twice: where
the dispatcher runs when the moment comes (`back`), and where it is started after it (`restart`).
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import uuid4

from bench.amounts import Amounts
from bench.console import make_pipeline
from bench.failure import BenchFailed
from bench.figures import Figures, percentile
from bench.hooks import Hooks
from bench.load import Pool, Receiver, insist
from bench.open import push_at_a_pace
from bench.pushes import a_payload, number_of, requests
from bench.restore import BATCH, writing
from bench.stage import Stage, stage
from hookline.chain.events import AttemptError, Fence, HookAttemptFailed, Plan, PushReceived, ReadTo
from hookline.chain.ids import ChainId, partition_of
from hookline.log.codec import decode, encode
from hookline.log.records import Place, Topic

__all__ = ["measure"]

HOSTS = {"away": "127.0.0.11", "other": "127.0.0.12"}
"""By repository."""
FIRST_RETRY = 10_000_000
"""Their pushes are numbered from here, new ones from 0."""
CHUNK_S = 5.0
"""New pushes are made so far ahead."""
LOOK_S = 0.25
PERCENTS = (50, 95, 99)
DAY_MS = 86_400_000
MS = 1_000_000
"""Nanoseconds."""


async def measure(amounts: Amounts, say: Callable[[str], None]) -> Figures:
    found = Figures()
    for name, measure_one in {"back": back, "restart": restart}.items():
        say(f"outage: {name}: opening {amounts.outage_chains:,} chains")
        async with AsyncExitStack() as stack:
            outage = await stack.enter_async_context(Outage.begun(amounts))
            figures = await measure_one(outage)
        found |= {f"outage.{name}.{key}": value for key, value in figures.items()}
    return found


async def back(outage: "Outage") -> Figures:
    """The moment comes while the dispatcher runs."""
    amounts = outage.amounts
    due_s = time.time() + amounts.outage_opening_s
    await outage.open_chains(round(due_s * 1000))
    await outage.on.start("dispatcher")
    moment = time.perf_counter() + due_s - time.time()
    if (early_s := moment - time.perf_counter()) < amounts.warm_up_s + amounts.outage_s:
        raise BenchFailed(
            f"opening the chains left {early_s:.1f} s of {amounts.outage_opening_s:g} s before they are due"
        )
    async with outage.pushing():
        await asyncio.sleep(moment - time.perf_counter())
        quiet = Window(moment - amounts.outage_s, moment)
        return await outage.drain(quiet)


async def restart(outage: "Outage") -> Figures:
    """The moment is before the dispatcher's start."""
    amounts = outage.amounts
    await outage.on.start("dispatcher")
    async with outage.pushing():
        await asyncio.sleep(amounts.warm_up_s)
        began = time.perf_counter()
        await asyncio.sleep(amounts.outage_s)
        quiet = Window(began, time.perf_counter())
    await outage.on.stop("dispatcher")
    await outage.open_chains(round(time.time() * 1000) - 1)
    await outage.on.start("dispatcher")
    async with outage.pushing():
        return await outage.drain(quiet)


class Window(NamedTuple):
    """time.perf_counter() of its begin and end."""

    begin: float
    end: float


class Outage:
    """A stage whose dispatcher does not run yet, and what its receivers hear."""

    def __init__(self, amounts: Amounts, on: Stage) -> None:
        self.amounts = amounts
        self.on = on
        self.new, self.retries = Hooks(), Hooks()
        self._intended: dict[int, float] = {}
        """By new push, the time.perf_counter() at which it should have been sent."""
        self._next = 2
        """The next new push; 0 is for the plan."""

    @classmethod
    @contextlib.asynccontextmanager
    async def begun(cls, amounts: Amounts) -> AsyncIterator["Outage"]:
        async with AsyncExitStack() as stack:
            outage = cls(amounts, await stack.enter_async_context(stage()))
            for name in ("ingress", "callbacks", "console"):
                await outage.on.start(name)
            for name, host in HOSTS.items():
                server, port = await Receiver.listen(outage._seen, host)
                await stack.enter_async_context(server)
                await make_pipeline(outage.on, [f"http://{host}:{port}/1"], final_callback=False, name=name)
            yield outage

    def _seen(self, at: float, head: bytes, body: bytes) -> None:
        (self.retries if number_of(body) >= FIRST_RETRY else self.new).seen(at, head, body)

    async def open_chains(self, due: int) -> None:
        """Chains of what is away, whose second attempt is due then (Unix ms)."""
        plan, now, draw = await self._plan(), time.time_ns() // MS, random.Random(0)
        ended = now - DAY_MS
        fences: list[int] = []

        async def open_one(number: int) -> None:
            push = str(uuid4())
            partition = partition_of(push, self.on.partitions)
            payload = a_payload(number, draw, "away")
            event = PushReceived(
                push_id=push, source="dockerhub", received_at=ended, dedupe_window_s=3600, pushed_at=ended,
                repository="bench/away", tag=f"v{number}", payload=payload, raw=json.dumps(payload), settings_offset=1,
                plans=(plan,),
            )  # fmt: skip
            offset = await writer.append(encode(event, partition, now_ms=now))
            failed = HookAttemptFailed(
                cause=offset, chain_id=str(ChainId(push, offset, plan.n, 0)), step=1, attempt=1, started_at=ended, took_ms=2,
                error=AttemptError.CONNECT, detail="connection refused", next_attempt_at=due, decided_at=ended,
                read_to=ReadTo(pushes=offset + 1, callbacks=0, commands=0),
            )  # fmt: skip
            await writer.append(encode(failed, partition, now_ms=now, fence=fences[partition]))

        numbers = range(FIRST_RETRY, FIRST_RETRY + self.amounts.outage_chains)
        async with writing(self.on) as writer:
            for partition in range(self.on.partitions):
                fences.append(await writer.append(encode(Fence(owner="bench", fenced_at=now), partition, now_ms=now)))
            for at in range(0, len(numbers), BATCH):
                await asyncio.gather(*map(open_one, numbers[at : at + BATCH]))

    async def _plan(self) -> Plan:
        """The real one, as ingress wrote it for a push to what is away."""
        pool, (request,) = Pool(self.on.ports["ingress"]), requests(range(1), self.on.ports["ingress"], ("away",))
        await insist(pool.send, request, 202)
        pool.close()
        consumer = await self.on.cluster().consumer()
        try:
            consumer.assign({Place(Topic.PUSHES, partition): 0 for partition in range(self.on.partitions)})
            while True:
                for records in (await consumer.poll(1)).values():
                    event = decode(records[0]).event
                    assert isinstance(event, PushReceived)
                    return event.plans[0]
        finally:
            await consumer.close()

    @contextlib.asynccontextmanager
    async def pushing(self) -> AsyncIterator[None]:
        """New pushes meanwhile, to both repositories in turn."""
        over = asyncio.Event()
        task = asyncio.create_task(self._push(over))
        try:
            yield
        finally:
            over.set()
            await task

    async def _push(self, over: asyncio.Event) -> None:
        rate, port = self.amounts.outage_rate, self.on.ports["ingress"]
        while not over.is_set():
            numbers = range(self._next, self._next + round(rate * CHUNK_S))
            self._next = numbers.stop
            waiting = requests(numbers, port, tuple(HOSTS))
            self._intended |= (await push_at_a_pace(waiting, numbers.start, rate, port)).intended

    async def drain(self, quiet: Window) -> Figures:
        """What new pushes and the dispatcher feel from now on, while retries are made, against that time without any."""
        began, cpu = time.perf_counter(), self.on.cpu_seconds()["dispatcher"]
        before = most = self.on.memory("dispatcher")
        while (
            time.perf_counter() - began < self.amounts.outage_during_s
            and len(self.retries.first) < self.amounts.outage_chains
        ):
            await asyncio.sleep(LOOK_S)
            most = max(most, self.on.memory("dispatcher"))
        took_s = time.perf_counter() - began
        found = {
            "retries_per_s": len(self.retries.first) / took_s,
            "duplicates": self.retries.duplicates,
            "dispatcher_cores": (self.on.cpu_seconds()["dispatcher"] - cpu) / took_s,
            "memory_ratio": most / before,
        }
        await self.new.until_all(self._intended)
        return found | self._times_of_new(quiet, Window(began, began + took_s))

    def _times_of_new(self, quiet: Window, during: Window) -> Figures:
        found = Figures()
        for remainder, name in enumerate(HOSTS):
            alone, among = (
                [
                    (self.new.first[push] - at) * 1000
                    for push, at in self._intended.items()
                    if push % len(HOSTS) == remainder and window.begin <= at < window.end
                ]
                for window in (quiet, during)
            )
            for p in PERCENTS:
                found |= {f"{name}_p{p}_quiet_ms": percentile(alone, p), f"{name}_p{p}_ms": percentile(among, p)}
                found[f"{name}_p{p}_ratio"] = found[f"{name}_p{p}_ms"] / found[f"{name}_p{p}_quiet_ms"]
        return found
