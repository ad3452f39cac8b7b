"""The trail: a log line for everything that somebody did or tried in the console, with who, from where and what (ASVS 5.0, V16.3).

Each line has `trail`, a word for machines, and is written whatever the log level. `ROUTES` says which requests leave one;
a test holds it against the routes that there are. A request without a session leaves none, but for a login: nobody is known.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import structlog
from aiohttp import web

from hookline.web.client_address import client_address
from hookline.web.logging import TRAIL
from hookline.web.middleware import Handler
from services.console.session_store import Session

__all__ = ["ROUTES", "SESSION", "USER", "Act", "note", "trail", "trail_middleware"]

USER = web.RequestKey("user", str)
"""Name of who is signed in."""
SESSION = web.RequestKey("session", Session)
"""Theirs."""
NOTED = web.RequestKey("noted", dict[str, object])
MAX_TEXT = 256

log = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), logger_factory_args=(TRAIL,)
)


class Act(NamedTuple):
    """What a request does: `word` for machines, `words` for people."""

    word: str
    words: str


LOGIN = Act("login", "login")
LOGOUT = Act("logout", "logout")
SECRET = Act("secret_shown", "showing a hook's secret")
ROTATED = Act("secret_rotated", "rotating a hook's secret")
MADE = Act("pipeline_made", "making a pipeline")
CHANGED = Act("pipeline_changed", "changing a pipeline")
DELETED = Act("pipeline_deleted", "deleting a pipeline")
CANCELLED = Act("chain_cancelled", "cancelling a chain")
RUN = Act("chain_run", "running a chain again")

HUB = "/v2/repositories/{ns}/{repo}/webhook_pipeline"

ROUTES: Mapping[tuple[str, str], Act] = {
    ("POST", "/v2/users/login"): LOGIN,
    ("POST", "/login"): LOGIN,
    ("POST", "/v2/logout"): LOGOUT,
    ("POST", "/logout"): LOGOUT,
    ("POST", "/sessions/end"): Act("session_ended", "ending a session"),
    ("POST", "/sessions/end-others"): Act("other_sessions_ended", "ending all other sessions"),
    ("GET", "/api/hooks/{hook_id}/secret"): SECRET,
    ("GET", "/hooks/{hook_id}/secret"): SECRET,
    ("POST", "/api/hooks/{hook_id}/rotate"): ROTATED,
    ("POST", "/hooks/{hook_id}/rotate"): ROTATED,
    ("POST", HUB): MADE,
    ("POST", "/api/pipelines"): MADE,
    ("PATCH", HUB + "/{slug}"): CHANGED,
    ("PATCH", "/api/pipelines/{pipeline_id}"): CHANGED,
    ("DELETE", HUB + "/{slug}"): DELETED,
    ("DELETE", "/api/pipelines/{pipeline_id}"): DELETED,
    ("POST", "/api/chains/{chain_id}/cancel"): CANCELLED,
    ("POST", "/chains/{chain_id}/cancel"): CANCELLED,
    ("POST", "/api/chains/{chain_id}/run"): RUN,
    ("POST", "/chains/{chain_id}/run"): RUN,
}
"""By method and route (without its last slash)."""


def trail(word: str, words: str, *, by: str, address: str, **what: object) -> None:
    """Write a line. by: who; address: from where."""
    log.info(words, trail=word, by=by, address=address, **{name: _short(value) for name, value in what.items()})


def note(request: web.Request, **what: object) -> None:
    """What the line of this request says beside its route's parts; never a secret, a URL or what a stranger wrote (I11)."""
    request.setdefault(NOTED, {}).update(what)


@web.middleware
async def trail_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A line once it is known what came of the request, or that it is not known. Before everything that answers errors."""
    resource = request.match_info.route.resource
    act = None if resource is None else ROUTES.get((request.method, resource.canonical.rstrip("/")))
    if act is None:
        return await handler(request)
    status = HTTPStatus.INTERNAL_SERVER_ERROR.value
    try:
        answer = await handler(request)
        status = answer.status
        return answer
    finally:
        _leave_line(request, act, status)


def _leave_line(request: web.Request, act: Act, status: int) -> None:
    if USER not in request and act is not LOGIN:
        return
    what = {**request.match_info, **request.get(NOTED, {})}
    if SESSION in request:
        what.setdefault("session", request[SESSION].id)
    by = str(what.pop("by", request.get(USER, "nobody")))
    trail(act.word, f"{act.words}: {_outcome(status)}", by=by, address=client_address(request), status=status, **what)


def _outcome(status: int) -> str:
    if status < HTTPStatus.BAD_REQUEST:
        return "done"
    return "refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed, or done without an answer"


def _short(value: object) -> object:
    return value[:MAX_TEXT] if isinstance(value, str) else value
