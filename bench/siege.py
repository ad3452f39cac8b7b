"""`python -m bench.siege`: how long others wait for ingress while clients without a credential do what they can.

Good pushes come at a steady pace, at rest and under each attack, in turns in one run. The attackers are a process of their own,
so that their work is not taken for ingress'. Prints p50 and p95 in milliseconds, and p95 as a ratio to that at rest (issue 14).
"""

import argparse
import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvloop

from bench.figures import percentile
from tests.unit.ingress.siege import Besieged, besieged

PACE_S = 0.01
"""Seconds between two good pushes."""
TURN_S = 5.0
"""Seconds of each measurement."""
TURNS = 2
AT_ONCE = {"aborted": 4, "aborted-paced": 4, "slow": 2_000, "guesses": 20}
ABORTED_A_SECOND = 120
"""Of uploads of 1 MiB that keep a pace: what a line of a gigabit carries. Those that keep none take a core for themselves."""
SOURCES = ("dockerhub", "github")
"""One that shows its credential in the head, one that signs its body."""


async def attack(kind: str, source: str, pid: int, port: int) -> None:
    """Until it is ended; prints a line once it has begun, and one with how many there were."""
    ingress = Besieged(pid, port)
    count = 0
    over = asyncio.Event()
    began = time.monotonic()

    async def one() -> None:
        nonlocal count
        while not over.is_set():
            if kind.startswith("aborted"):
                if kind == "aborted-paced":
                    await asyncio.sleep(began + count / ABORTED_A_SECOND - time.monotonic())
                await ingress.abort(source)
            elif kind == "slow":
                await ingress.dawdle(source, over)
            else:
                await ingress.guess(http)
            count += 1

    async with aiohttp.ClientSession() as http:
        attackers = asyncio.gather(*(one() for _ in range(AT_ONCE[kind])))
        await asyncio.sleep(1)  # those who are slow have connected
        print("begun", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        over.set()
        await attackers
    print(count, flush=True)


@asynccontextmanager
async def under(kind: str, source: str, ingress: Besieged) -> AsyncIterator[None]:
    words = [sys.executable, "-m", "bench.siege", "--attack", kind, "--source", source]
    words += ["--ingress", f"{ingress.pid}:{ingress.port}"]
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.stdin.close()
        count = (await process.stdout.readline()).decode().strip()
        await process.wait()
        print(f"  {kind} on {source}: {count}, {ingress.memory('VmHWM'):.0f} MB at most", flush=True)


async def times_ms(ingress: Besieged) -> list[float]:
    """Of good pushes at a pace, whatever became of those before them."""
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        until = time.monotonic() + TURN_S
        tasks = []
        while time.monotonic() < until:
            tasks.append(group.create_task(ingress.deliver(http, len(tasks))))
            await asyncio.sleep(PACE_S)
    return sorted(task.result() * 1000 for task in tasks)


async def main() -> None:
    rest: list[float] = []
    found: dict[str, list[float]] = {}
    async with besieged() as ingress:
        await times_ms(ingress)  # warm
        for _ in range(TURNS):
            for source in SOURCES:
                for kind in AT_ONCE:
                    rest += await times_ms(ingress)
                    async with under(kind, source, ingress):
                        found.setdefault(f"{kind} | {source}", []).extend(await times_ms(ingress))
    usual = percentile(sorted(rest), 95)
    print("\n| attack | source | p50 ms | p95 ms | ratio of p95 |\n|---|---|---|---|---|")
    for name, times in {"none | ": rest, **found}.items():
        p50, p95 = (percentile(sorted(times), p) for p in (50, 95))
        print(f"| {name} | {p50:.1f} | {p95:.1f} | {p95 / usual:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", choices=AT_ONCE, help="be an attacker, until standard input ends")
    parser.add_argument("--source", choices=SOURCES, default=SOURCES[0])
    parser.add_argument("--ingress", help="PID:PORT of the one to attack")
    given = parser.parse_args()
    if given.attack:
        pid, _, port = given.ingress.partition(":")
        uvloop.run(attack(given.attack, given.source, int(pid), int(port)))
    else:
        uvloop.run(main())
