"""Registries, receivers and users of a system, without a pause worth the name, and what each of them saw.

Each client keeps its connection as long as it may, as a registry or a proxy does, and tries again after a 503 only.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp

from tests.integration.system import TOKEN, System

__all__ = ["Load"]

PAUSE_S = 0.1
"""Between two requests of a client, so that the services are busy and not swamped."""


class Load:
    """`pushed`: the tags whose push was accepted; `answers`: how often each service answered what (or broke off)."""

    def __init__(self, system: System, *, registries: int = 2, receivers: int = 4, slow_s: float = 2.0) -> None:
        """slow_s: how long a receiver takes at times; else it is a tenth of a second."""
        self.pushed: set[str] = set()
        self.answers: Counter[tuple[str, int | str]] = Counter()
        self._system = system
        self._registries = registries
        self._receivers = receivers
        self._slow_s = slow_s
        self._stopping = False
        self._clients: list[asyncio.Task[None]] = []
        self._verdicts: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def running(self, *, users: int = 1) -> AsyncIterator["Load"]:
        self._system.receiver.answer = self._receive
        receivers = [asyncio.create_task(self._call_back()) for _ in range(self._receivers)]
        self._clients = [asyncio.create_task(self._push(n)) for n in range(self._registries)]
        self._clients += [asyncio.create_task(self._look()) for _ in range(users)]
        try:
            yield self
        finally:
            for task in (*self._clients, *receivers):
                task.cancel()
            await asyncio.gather(*self._clients, *receivers, return_exceptions=True)

    async def end(self) -> None:
        """No more pushes; those that were begun are answered. Receivers go on."""
        self._stopping = True
        await asyncio.gather(*self._clients)

    async def _push(self, number: int) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with _one_connection() as http:
            count = 0
            while not self._stopping:
                count += 1
                tag = f"{number}-{count}"
                body = {
                    "push_data": {"pushed_at": 1417566161, "pusher": "me", "tag": tag},
                    "repository": {"repo_name": "ns/app", "namespace": "ns", "name": "app", "status": "Active"},
                }
                url = self._system.url("ingress", "/events/dockerhub")
                await self._send(http, "ingress", "POST", url, json=body, headers=headers)
                self.pushed.add(tag)
                await asyncio.sleep(PAUSE_S)

    async def _look(self) -> None:
        """A user's History; the token is good on every pod."""
        headers = {"Authorization": f"JWT {await self._system.token()}"}
        url = self._system.url("console", "/v2/repositories/ns/app/webhook_pipeline/ci/history/")
        async with _one_connection() as http:
            while not self._stopping:
                await self._send(http, "console", "GET", url, headers=headers)
                await asyncio.sleep(PAUSE_S)

    async def _receive(self, path: str, body: dict[str, object]) -> int:
        """Half of the receivers call back before they answer, as in the wild."""
        early = random.random() < 0.5
        if early:
            self._verdicts.put_nowait(body)
        await asyncio.sleep(self._slow_s if random.random() < 0.05 else 0.1)
        if not early:
            self._verdicts.put_nowait(body)
        return 200

    async def _call_back(self) -> None:
        async with _one_connection() as http:
            while True:
                body = await self._verdicts.get()
                url = str(body["callback_url"])
                await self._send(http, "callbacks", "POST", url, json={"state": "success"})
                self._verdicts.task_done()

    async def _send(self, http: aiohttp.ClientSession, service: str, method: str, url: str, **request: object) -> None:
        """Until the answer is none that asks to try again. A connection that breaks off is tried again, too, and noted."""
        while True:
            try:
                async with http.request(method, url, **request) as answer:  # type: ignore[arg-type]
                    await answer.read()
                    seen: int | str = answer.status
            except (aiohttp.ClientError, TimeoutError) as error:
                seen = repr(error)
            self.answers[service, seen] += 1
            if isinstance(seen, int) and seen != 503:
                return
            await asyncio.sleep(PAUSE_S)


def _one_connection() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(total=20), raise_for_status=False
    )
