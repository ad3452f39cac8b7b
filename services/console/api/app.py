"""The console's public HTTP: which path is whose. Every path is good with and without its last slash."""

from dataclasses import dataclass

from aiohttp import web

from hookline.settings import Settings
from hookline.web.client_address import TRUSTED_PROXIES
from hookline.web.door import ANSWER_HEADERS
from hookline.web.middleware import Handler, error_middleware, metrics_middleware
from services.console.api.bodies import BODY_BYTES
from services.console.api.chains import ChainApi
from services.console.api.login import LOGIN, LOGOUT, LoginApi, api_guard
from services.console.api.paging import PUBLIC_URL
from services.console.api.pipelines import PipelineApi
from services.console.commands import Commands
from services.console.login_limit import LoginLimit
from services.console.pipelines import Pipelines
from services.console.readmodel.history import History
from services.console.secret_access import HookSecrets
from services.console.sessions import Sessions
from services.console.trail import trail_middleware

__all__ = ["Parts", "build_app"]

HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
HSTS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
"""ASVS 5.0, 3.4.1: a year, and subdomains too. Only where the console's public URL is https."""
HUB = "/v2/repositories/{ns}/{repo}/webhook_pipeline"


@dataclass(frozen=True)
class Parts:
    """What the API (and the pages) work with."""

    sessions: Sessions
    limit: LoginLimit
    secrets: HookSecrets
    pipelines: Pipelines
    history: History
    commands: Commands


def build_app(parts: Parts, settings: Settings) -> web.Application:
    """The whole API."""
    app = web.Application(
        middlewares=[metrics_middleware, trail_middleware, error_middleware, api_guard(parts.sessions)],
        client_max_size=BODY_BYTES,
    )
    app[TRUSTED_PROXIES] = settings.trusted_proxies
    app[PUBLIC_URL] = settings.public_console_url
    app[ANSWER_HEADERS] = HEADERS | (HSTS if settings.public_console_url.startswith("https:") else {})
    login = LoginApi(parts.sessions, parts.limit)
    pipelines = PipelineApi(parts.pipelines, parts.history, parts.commands)
    chains = ChainApi(parts.history, parts.commands, parts.pipelines, parts.secrets, parts.sessions)
    routes: list[tuple[str, str, Handler]] = [
        ("POST", LOGIN, login.login),
        ("POST", LOGOUT, login.logout),
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
