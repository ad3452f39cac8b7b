"""Public HTTP of callbacks: the callback URL that receivers were given (design section 6; docs/openapi/callbacks.yaml)."""

from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus

from aiohttp import web

from hookline.chain.callback_tokens import open_token
from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.errors import (
    HooklineError,
    Invalid,
    LogError,
    RecordTooLarge,
    TokenError,
    TooMany,
    Unavailable,
    Unreadable,
)
from hookline.settings import IPNetwork
from hookline.web.body import COMPRESSED_BODIES, inflate, read_body
from hookline.web.client_address import TRUSTED_PROXIES, client_address
from hookline.web.middleware import error_middleware, json_error, metrics_middleware
from services.callbacks.answers import Answer
from services.callbacks.body import MAX_BODY, CallbackBody, parse_body
from services.callbacks.gate import Callback, Gate
from services.callbacks.limit import CallbackLimit
from services.callbacks.metrics import ANSWERS

__all__ = ["make_app"]

BODY_S = 10.0
"""Seconds that a client gets to send its body."""

OFFICIAL = "library"
"""Namespace of Docker Hub's official images, whose paths begin with `/_/`."""


class Refusal(StrEnum):
    """Kinds of answers beside those that the log gives, as the metric names them."""

    BAD_TOKEN = "bad_token"
    TOO_MANY = "too_many"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


class _Routes:
    """The handlers of both forms of the URL."""

    def __init__(self, keys: KeyRing, gate: Callable[[], Gate | None], clock: Clock) -> None:
        self._keys = keys
        self._gate = gate
        self._clock = clock
        self._limit = CallbackLimit(clock)

    async def user(self, request: web.Request) -> web.Response:
        return await self._post(request, request.match_info["repository"])

    async def official(self, request: web.Request) -> web.Response:
        return await self._post(request, f"{OFFICIAL}/{request.match_info['name']}")

    async def _post(self, request: web.Request, repository: str) -> web.Response:
        """Count every answer by its kind; errors become answers in the middleware."""
        try:
            answer = await self._answer(request, repository)
        except (HooklineError, web.HTTPException) as error:
            ANSWERS.labels(_kind(error)).inc()
            if isinstance(error, TokenError):
                raise web.HTTPNotFound from None
            raise
        ANSWERS.labels(answer).inc()
        return _response(answer)

    async def _answer(self, request: web.Request, repository: str) -> Answer:
        """The rows of the table, in order. A step that calls too often is refused before anything is read for it."""
        came_at = self._clock.now_ms()
        token = open_token(self._keys, request.match_info["token"], repository)
        self._limit.take(token)
        body = await _read(request)
        if (gate := self._gate()) is None:
            raise Unavailable("not connected to Kafka yet")
        return await gate.answer(Callback(token, body, came_at, client_address(request)))


async def _read(request: web.Request) -> CallbackBody:
    """Raises Invalid; HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPBadRequest where it does not come whole."""
    sent = await read_body(request, MAX_BODY, BODY_S)
    try:
        return parse_body(inflate(sent, request.headers.get("Content-Encoding", ""), MAX_BODY))
    except Unreadable as error:
        raise Invalid({"non_field_errors": [f"The body cannot be read: {error}."]}) from None


def _kind(error: Exception) -> Refusal:
    match error:
        case TokenError():
            return Refusal.BAD_TOKEN
        case TooMany():
            return Refusal.TOO_MANY
        case web.HTTPRequestEntityTooLarge() | RecordTooLarge():
            return Refusal.TOO_LARGE
        case Unavailable() | LogError():
            return Refusal.UNAVAILABLE
        case _:
            return Refusal.INVALID


def _response(answer: Answer) -> web.Response:
    match answer:
        case Answer.OK:
            return web.json_response("OK")
        case _:
            return json_error(HTTPStatus.BAD_REQUEST, "Update not allowed")


def make_app(
    keys: KeyRing, gate: Callable[[], Gate | None], clock: Clock, trusted_proxies: tuple[IPNetwork, ...] = ()
) -> web.Application:
    """Every path with and without its last slash; any method but POST is 405 and does nothing.

    gate: None while there is none yet.
    """
    app = web.Application(middlewares=[metrics_middleware, error_middleware], client_max_size=MAX_BODY)
    app[COMPRESSED_BODIES] = True
    app[TRUSTED_PROXIES] = trusted_proxies
    routes = _Routes(keys, gate, clock)
    for slash in ("/", ""):
        # `.+` takes all segments of the repository, whatever they are called: the last /hook/ is ours.
        app.router.add_post(r"/u/{repository:.+}/hook/{token:[^/]+}" + slash, routes.user)
        app.router.add_post(r"/_/{name:[^/]+}/hook/{token:[^/]+}" + slash, routes.official)
    return app
