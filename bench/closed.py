"""Closed loop: so many pushes by so many clients, one-hook chains without a final callback: `python -m bench.closed`.

Prints accepted and delivered pushes a second, CPU milliseconds a push of each process, and the console's lag at the end.
"""

import argparse
import asyncio
import json
import random
import time

import aiohttp
import psutil
import uvloop

from bench.load import Client, Receiver
from bench.restore import a_payload
from bench.stage import Stage, stage

SERVICES = ("ingress", "dispatcher", "callbacks", "console")
TOKEN = "bench"


async def make_pipeline(on: Stage, port: int) -> None:
    base = f"http://127.0.0.1:{on.ports['console']}"
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/v2/users/login/", json={"username": "admin", "password": "bench"}) as answer:
            headers = {"Authorization": f"JWT {(await answer.json())['token']}"}
        hooks = [{"name": "one", "hook_url": f"http://127.0.0.1:{port}/one"}]
        body = {"name": "ci", "expect_final_callback": False, "webhooks": hooks}
        async with http.post(
            f"{base}/v2/repositories/bench/app/webhook_pipeline/", json=body, headers=headers
        ) as answer:
            if answer.status != 201:
                raise SystemExit(f"no pipeline: {await answer.text()}")


def requests(count: int, port: int) -> list[bytes]:
    """Prebuilt, so that the generator only writes."""
    draw = random.Random(1)
    made = []
    for number in range(count):
        body = json.dumps(a_payload(number, draw)).encode()
        head = (
            f"POST /events/dockerhub HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def cpu_seconds(on: Stage) -> dict[str, float]:
    pids = {name: process.pid for name, process in on.processes.items()} | {"kafka": on.broker.pid or 0}
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}


async def until_read(on: Stage, ids: int) -> float:
    """Seconds until the console shows all chains ended."""
    began = time.perf_counter()
    base = f"http://127.0.0.1:{on.ports['console']}"
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/v2/users/login/", json={"username": "admin", "password": "bench"}) as answer:
            headers = {"Authorization": f"JWT {(await answer.json())['token']}"}
        url = f"{base}/v2/repositories/bench/app/webhook_pipeline/ci/history/?page_size=1"
        while time.perf_counter() - began < 60:
            async with http.get(url, headers=headers) as answer:
                body = await answer.json()
            if body["count"] >= ids and body["results"][0]["status"] == "success":
                break
            await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def measure(count: int, clients: int) -> None:
    seen: set[bytes] = set()
    done = asyncio.Event()
    posts = 0

    def receive(_: float, head: bytes, body: bytes) -> None:
        nonlocal posts
        posts += 1
        seen.add(head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0])
        if len(seen) == count:
            done.set()

    server, port = await Receiver.listen(receive)
    async with stage() as on:
        for name in SERVICES:
            await on.start(name)
        await make_pipeline(on, port)
        waiting = iter(requests(count, on.ports["ingress"]))
        statuses: dict[int, int] = {}

        async def run() -> None:
            client = await Client.connect(on.ports["ingress"])
            for request in waiting:
                status = await client.send(request)
                statuses[status] = statuses.get(status, 0) + 1
            client.close()

        before, began = cpu_seconds(on), time.perf_counter()
        await asyncio.gather(*(run() for _ in range(clients)))
        accepted = time.perf_counter() - began
        await asyncio.wait_for(done.wait(), 120)
        delivered = time.perf_counter() - began
        lag = await until_read(on, count)
        after = cpu_seconds(on)
        peaks = {name: psutil.Process(process.pid).memory_info().rss / 1e6 for name, process in on.processes.items()}
    server.close()
    print(f"answers {statuses}, POSTs {posts} for {len(seen)} chains")
    print(f"accepted {count / accepted:,.0f}/s, delivered {count / delivered:,.0f}/s, console lag {lag:.1f} s")
    each = {name: (after[name] - before[name]) * 1000 / count for name in after}
    print(
        "CPU ms a push:", ", ".join(f"{name} {ms:.2f}" for name, ms in each.items()), f"in all {sum(each.values()):.2f}"
    )
    print("RSS MB at the end:", ", ".join(f"{name} {mb:.0f}" for name, mb in peaks.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pushes", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    args = parser.parse_args()
    uvloop.run(measure(args.pushes, args.clients))


if __name__ == "__main__":
    main()
