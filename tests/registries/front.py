"""Between a registry and ingress: counts deliveries by event, and spoils one where a test wants it."""

import json
from collections import Counter
from collections.abc import Callable

import aiohttp
from aiohttp import web

__all__ = ["Front"]


class Front:
    """A reverse proxy of one route. `spoil`: changes a body on its way; `deliveries`: how often each event id came."""

    def __init__(self, target: str) -> None:
        self.deliveries: Counter[str] = Counter()
        self.spoil: Callable[[bytes], bytes] = lambda body: body
        self.url = ""
        self._target = target
        self._runner: web.AppRunner
        self._http: aiohttp.ClientSession

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        app = web.Application()
        app.router.add_post("/", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._http.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        for event in json.loads(body)["events"]:
            self.deliveries[event["id"]] += 1
        kept = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        try:
            async with self._http.post(self._target, data=self.spoil(body), headers=kept) as answer:
                return web.Response(status=answer.status, body=await answer.read())
        except aiohttp.ClientError:
            raise web.HTTPBadGateway from None
