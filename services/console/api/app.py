"""The console's public HTTP: which path is whose. Every path is good with and without its last slash."""

from dataclasses import dataclass

from aiohttp import web

from hookline.chain.keys import KeyRing
from hookline.settings import IPNetwork
from hookline.web.client_address import TRUSTED_PROXIES
from hookline.web.middleware import Handler, error_middleware, metrics_middleware
from services.console.api.bodies import BODY_BYTES
from services.console.api.chains import ChainApi
from services.console.api.login import LOGIN, LoginApi, api_guard
from services.console.api.pipelines import PipelineApi
from services.console.commands import Commands
from services.console.login_limit import LoginLimit
from services.console.pipelines import Pipelines
from services.console.readmodel.history import History
from services.console.sessions import Sessions

__all__ = ["Parts", "build_app"]

HUB = "/v2/repositories/{ns}/{repo}/webhook_pipeline"


@dataclass(frozen=True)
class Parts:
    """What the API (and the pages) work with."""

    sessions: Sessions
    limit: LoginLimit
    keys: KeyRing
    pipelines: Pipelines
    history: History
    commands: Commands


def build_app(parts: Parts, trusted_proxies: tuple[IPNetwork, ...] = ()) -> web.Application:
    """The whole API."""
    app = web.Application(
        middlewares=[metrics_middleware, error_middleware, api_guard(parts.sessions)], client_max_size=BODY_BYTES
    )
    app[TRUSTED_PROXIES] = trusted_proxies
    login = LoginApi(parts.sessions, parts.limit)
    pipelines = PipelineApi(parts.pipelines, parts.history, parts.commands)
    chains = ChainApi(parts.history, parts.commands, parts.pipelines, parts.keys)
    routes: list[tuple[str, str, Handler]] = [
        ("POST", LOGIN, login.login),
        ("POST", "/api/chains/{chain_id}/cancel", chains.cancel),
        ("POST", "/api/chains/{chain_id}/run", chains.run),
        ("GET", "/api/chains/{chain_id}", chains.timeline),
        ("GET", "/api/pushes", chains.pushes),
        ("GET", "/api/hooks/{hook_id}/secret", chains.secret),
        ("POST", "/api/hooks/{hook_id}/rotate", chains.rotate),
    ]
    for many, one in ((HUB, HUB + "/{slug}"), ("/api/pipelines", "/api/pipelines/{pipeline_id}")):
        routes += [
            ("POST", many, pipelines.create),
            ("GET", many, pipelines.list),
            ("GET", one, pipelines.get),
            ("PATCH", one, pipelines.change),
            ("DELETE", one, pipelines.delete),
            ("GET", f"{one}/history", pipelines.history),
        ]
    for method, path, handler in routes:
        for spelled in (path, f"{path}/"):
            app.router.add_route(method, spelled, handler)
    return app
