"""The pages' routes, added to the console's app beside the API."""

from collections.abc import Callable

from aiohttp import web

from hookline.clock import Clock
from hookline.web.middleware import Handler
from services.console.api.app import Parts
from services.console.pages.chains import ChainPages
from services.console.pages.login import LoginPages
from services.console.pages.login_guard import LOGIN, LOGOUT, STATIC, pages_guard
from services.console.pages.pipelines import PipelinePages
from services.console.pages.pushes import PushPages
from services.console.pages.rendering import Renderer, static_file
from services.console.pages.secrets import SecretPages
from services.console.pages.sessions import SESSIONS, SessionPages

__all__ = ["add_pages"]


def add_pages(app: web.Application, parts: Parts, clock: Clock, new_id: Callable[[], str]) -> None:
    """To an app of `build_app` that does not run yet. new_id: what makes a form's Idempotency-Key."""
    renderer = Renderer(clock)
    login = LoginPages(renderer, parts.sessions, parts.limit)
    pipelines = PipelinePages(renderer, parts.pipelines, parts.history)
    chains = ChainPages(renderer, parts.pipelines, parts.history, parts.commands, new_id)
    secrets = SecretPages(renderer, parts.secrets, parts.sessions, login)
    sessions = SessionPages(renderer, parts.sessions)
    pushes = PushPages(renderer, parts.pipelines, parts.history)
    app.middlewares.append(pages_guard(parts.sessions, renderer))
    app.router.add_get("/", pipelines.overview)
    routes: list[tuple[str, str, Handler]] = [
        ("GET", LOGIN, login.form),
        ("POST", LOGIN, login.login),
        ("POST", LOGOUT, login.logout),
        ("GET", "/repositories/{repository:.+}", pipelines.repository),
        ("GET", "/pipelines/{pipeline_id}", pipelines.history),
        ("POST", "/hooks/{hook_id}/rotate", pipelines.rotate),
        ("GET", "/chains/{chain_id}", chains.timeline),
        ("POST", "/chains/{chain_id}/cancel", chains.cancel),
        ("POST", "/chains/{chain_id}/run", chains.run),
        ("GET", "/pushes", pushes.list),
        ("GET", "/hooks/{hook_id}/secret", secrets.secret),
        ("GET", SESSIONS, sessions.list),
        ("POST", f"{SESSIONS}/end", sessions.end),
        ("POST", f"{SESSIONS}/end-others", sessions.end_others),
    ]
    for method, path, handler in routes:
        for spelled in (path, f"{path}/"):
            app.router.add_route(method, spelled, handler)
    app.router.add_get(STATIC, static_file)
