"""What a measurement asks of Hookline's console: pipelines over its public HTTP, how far it is from its database."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Sequence

import aiohttp

from bench.failure import BenchFailed
from bench.stage import PASSWORD, Stage

__all__ = ["make_pipeline", "seconds_until_shown"]

CONSOLE_FILE = "console.sqlite3"
POLL_S = 0.05
GIVE_UP_S = 300.0


async def make_pipeline(
    on: Stage, urls: Sequence[str], *, final_callback: bool, name: str = "app", timeout_s: int = 15
) -> None:
    """A pipeline of those hooks for the repository `bench/<name>`. Raises BenchFailed in words."""
    base = f"http://127.0.0.1:{on.ports['console']}"
    hooks = [{"name": str(n), "hook_url": url} for n, url in enumerate(urls, 1)]
    body = {"name": "ci", "expect_final_callback": final_callback, "timeout": timeout_s, "webhooks": hooks}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/v2/users/login/", json={"username": "admin", "password": PASSWORD}) as answer:
            headers = {"Authorization": f"JWT {(await answer.json())['token']}"}
        url = f"{base}/v2/repositories/bench/{name}/webhook_pipeline/"
        async with http.post(url, json=body, headers=headers) as answer:
            if answer.status != 201:
                raise BenchFailed(f"no pipeline: {await answer.text()}")


async def seconds_until_shown(on: Stage, chains: int) -> float:
    """How long it takes, from now, until the console shows so many chains as completed.

    Asked of its database file, since asking the console itself would be work for it. Raises BenchFailed.
    """
    file = on.folder / CONSOLE_FILE
    began = time.perf_counter()
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
        while (took := time.perf_counter() - began) < GIVE_UP_S:
            ((shown,),) = database.execute("SELECT count(*) FROM hookline_chains WHERE status = 'success'")
            if shown >= chains:
                return took
            await asyncio.sleep(POLL_S)
    raise BenchFailed(f"the console showed {shown} of {chains} chains after {GIVE_UP_S:g} s")
