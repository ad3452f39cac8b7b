"""The admin port of every service: `/livez`, `/readyz`, `/metrics`."""

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["Status", "admin_app"]


class Status(NamedTuple):
    """An answer of a probe, with its reason in words.

    `troubles`: what is wrong with a part that holds up no other, and needs somebody; one line each, with its id.
    """

    ok: bool
    detail: str
    troubles: tuple[str, ...] = ()


def admin_app(ready: Callable[[], Status], live: Callable[[], Status]) -> web.Application:
    """Probes answer 200 or 503 with `{"ok", "detail"}`, and `troubles` where there are any; metrics in the Prometheus text format."""

    def probe(check: Callable[[], Status]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            status = check()
            said = {name: value for name, value in status._asdict().items() if value != ()}
            return web.json_response(said, status=200 if status.ok else 503)

        return answer

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/readyz", probe(ready))  # type: ignore[arg-type]
    app.router.add_get("/livez", probe(live))  # type: ignore[arg-type]
    app.router.add_get("/metrics", metrics)
    return app
