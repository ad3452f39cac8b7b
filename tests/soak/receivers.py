"""Receivers of every temper behind one port, and their ledger of what they saw and what they were answered."""

import asyncio
from collections import Counter
from contextlib import suppress

import aiohttp
from aiohttp import web

from tests.soak.ledger import Called, Ledgers, Seen, now_ms
from tests.soak.reaction import Call, Reaction, react

__all__ = ["Receivers"]

PATIENCE_S = 45.0
"""How long a receiver goes on with a callback that was answered 503 or not at all."""
PAUSE_S = 0.5
HANG_S = 8.0


class Receivers:
    """One port; the path is `/<pipeline>/<step>/<callback deadline in seconds>`."""

    def __init__(self, seed: int, ledgers: Ledgers) -> None:
        self.port = 0
        self._seed = seed
        self._ledgers = ledgers
        self._counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        app = web.Application()
        app.router.add_post("/{pipeline}/{step}/{deadline}", self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._http.close()

    @property
    def busy(self) -> bool:
        """Is a callback still to be made, or answered?"""
        return bool(self._tasks)

    def url(self, pipeline: str, step: int, deadline_s: int) -> str:
        return f"http://127.0.0.1:{self.port}/{pipeline}/{step}/{deadline_s}"

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        webhook_id, at = request.headers["webhook-id"], now_ms()
        self._ledgers.seen.append(Seen(webhook_id, at))
        self._counts[webhook_id] += 1
        body = await request.json()
        pipeline, step = request.match_info["pipeline"], int(request.match_info["step"])
        reaction = react(self._seed, body["push_data"]["tag"], pipeline, step, self._counts[webhook_id])
        url, deadline_s = body["callback_url"], float(request.match_info["deadline"])
        for call in reaction.early:
            with suppress(TimeoutError):  # callbacks may be stopped for longer
                await asyncio.wait_for(self._call(url, webhook_id, call), PATIENCE_S)
        for call in reaction.later:
            wait_s = call.after_s + (deadline_s if call.late else 0.0)
            task = asyncio.create_task(self._call_after(max(0.0, wait_s), url, webhook_id, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await _answer(request, reaction)

    async def _call_after(self, wait_s: float, url: str, webhook_id: str, call: Call) -> None:
        await asyncio.sleep(wait_s)
        await self._call(url, webhook_id, call)

    async def _call(self, url: str, webhook_id: str, call: Call) -> None:
        """Until it is answered with yes or no."""
        chain_id, _, step = webhook_id.rpartition("-")
        began = now_ms()
        while now_ms() - began < PATIENCE_S * 1000:
            status = await self._post(url, call.state)
            self._ledgers.called.append(Called(chain_id, int(step), call.state, now_ms(), status))
            if status is not None and status < 500 and status != 429:
                return
            await asyncio.sleep(PAUSE_S)

    async def _post(self, url: str, state: str) -> int | None:
        try:
            async with self._http.post(url, json={"state": state}) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None


async def _answer(request: web.Request, reaction: Reaction) -> web.StreamResponse:
    match reaction.answer:
        case "hang":
            await asyncio.sleep(HANG_S)
            return web.Response()
        case "half":
            # Half of a status line, then the end of the connection, where the other side has not ended it already.
            if request.transport is not None:
                request.transport.write(b"HTTP/1.1 20")
                request.transport.close()
            return web.Response()
        case "429":
            return web.Response(status=429, headers={"Retry-After": "2"})
        case "302":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        case status:
            return web.Response(status=int(status), text=status)
