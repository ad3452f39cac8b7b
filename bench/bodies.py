"""`python -m bench.bodies`: how long ingress takes to answer each costly body (tests/unit/ingress/costly.py), on real Kafka.

Prints milliseconds, the best of a few, and as a ratio to `json.loads` of a plain body of 1 MiB in the same run. Ends with 1
where an answer took more than 500 ms: a registry gives up after one second and sends again.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
import uvloop

from bench.failure import BenchFailed
from bench.stage import Stage, stage
from hookline.log.codec import encode_setting
from tests.unit.ingress.conftest import SECRETS, TOKEN, shown
from tests.unit.ingress.costly import COSTLY, PIPELINES

LIMIT_MS = 500.0
TIMES = 5
PLAIN = json.dumps({"events": [{"id": f"{n:08}", "target": {"repository": "a/b", "tag": "v1"}} for n in range(14_500)]})
"""1 MiB of what a registry might send."""


def best_ms(does: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        does()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


async def best_answer_ms(http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> float:
    took: list[float] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        async with http.post(url, data=body, headers=headers) as answer:
            if answer.status not in (200, 202, 413):
                raise BenchFailed(f"{url} answered {answer.status}: {await answer.text()}")
        took.append(time.perf_counter() - began)
    return min(took) * 1000


async def measure(on: Stage, settings: Mapping[str, str]) -> bool:
    """Print a row for each; did all stay below the limit?"""
    producer = await on.cluster().producer()
    for pipeline in PIPELINES:
        await producer.append(encode_setting(pipeline, now_ms=1))
    await producer.close()
    await on.start("ingress", settings=settings)
    plain_ms = best_ms(lambda: json.loads(PLAIN))
    print(f"json.loads of {len(PLAIN):,} plain bytes: {plain_ms:.1f} ms\n")
    print("| body | source | bytes | ms | ratio |\n|---|---|---|---|---|")
    slowest = 0.0
    async with aiohttp.ClientSession() as http:
        for name, costly in COSTLY.items():
            body = costly.made()
            for source in costly.sources:
                headers = {"Content-Type": "application/json", **costly.headers, **shown(source, body)}
                url = f"http://127.0.0.1:{on.ports['ingress']}/events/{source}"
                took = await best_answer_ms(http, url, body, headers)
                slowest = max(slowest, took)
                print(f"| {name} | {source} | {len(body):,} | {took:.1f} | {took / plain_ms:.1f} |", flush=True)
    print(f"\nthe slowest: {slowest:.0f} ms, {slowest / plain_ms:.1f} times the plain body; the limit: {LIMIT_MS:g} ms")
    return slowest <= LIMIT_MS


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder:
        secrets = Path(folder) / "secrets.toml"
        secrets.write_text("".join(f"{name} = {json.dumps(list(own))}\n" for name, own in SECRETS.items()))
        settings = {"HOOKLINE_INGRESS_TOKENS": TOKEN, "HOOKLINE_INGRESS_SECRETS_FILE": str(secrets)}
        async with stage() as on:
            if not await measure(on, settings):
                raise SystemExit("too slow")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
