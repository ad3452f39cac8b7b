"""What every public app answers for our errors, and its request metrics by route (never by path: I11)."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple

import structlog
from aiohttp import web
from prometheus_client import Counter, Histogram

from hookline.errors import (
    AppendFailed,
    Forbidden,
    Invalid,
    LogError,
    NotAuthorised,
    RecordRefused,
    RecordTooLarge,
    TooMany,
    Unavailable,
)

__all__ = ["LogAnswer", "error_middleware", "json_error", "log_answer", "metrics_middleware"]

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS = Counter("hookline_http_requests", "Requests answered", ["method", "route", "status"])
OPERATOR_S = 5
"""Retry-After where an operator must act first, and may at any moment."""
SECONDS = Histogram(
    "hookline_http_request_seconds",
    "Time to answer a request",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


def json_error(status: HTTPStatus, body: object, retry_after_s: int | None = None) -> web.Response:
    """An error answer: `{"detail": ...}`, or `{"<field>": ["..."]}`."""
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    return web.json_response(body, status=status, headers=headers)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Our errors as HTTP: Invalid 400, Forbidden 403, TooMany 429, Unavailable and the log's 503 with Retry-After (or 413, see `log_answer`);
    anything else 500 without its text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        detail = "Not found." if error.status == HTTPStatus.NOT_FOUND else error.reason
        answer = json_error(HTTPStatus(error.status), {"detail": detail})
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Invalid as error:
        return json_error(HTTPStatus.BAD_REQUEST, error.errors)
    except Forbidden as error:
        return json_error(HTTPStatus.FORBIDDEN, {"detail": str(error)})
    except TooMany as error:
        return json_error(HTTPStatus.TOO_MANY_REQUESTS, {"detail": str(error)}, error.retry_after_s)
    except Unavailable as error:
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": str(error)}, error.retry_after_s)
    except LogError as error:
        said = log_answer(error)
        return json_error(said.status, {"detail": said.detail}, said.retry_after_s)


class LogAnswer(NamedTuple):
    """What a client hears of trouble with the log. `retry_after_s` None: sending it again would change nothing."""

    status: HTTPStatus
    detail: str
    retry_after_s: int | None


def log_answer(error: LogError) -> LogAnswer:
    """What Kafka will never take is 413: whoever hears 503 sends it again, without end."""
    match error:
        case RecordTooLarge():
            return LogAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large for Kafka's topic as configured", None)
        case NotAuthorised():
            said = "Kafka does not let this service write: an operator must grant it the right"
        case RecordRefused():
            said = "Kafka's topic does not accept this record with its present settings: an operator must change them"
        case AppendFailed():
            return LogAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "not acknowledged by Kafka", 1)
        case _:
            return LogAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "Kafka does not answer", 1)
    return LogAnswer(HTTPStatus.SERVICE_UNAVAILABLE, said, OPERATOR_S)


@web.middleware
async def metrics_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Counts and times requests by route."""
    began = time.perf_counter()
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    status = 500
    try:
        answer = await handler(request)
        status = answer.status
    except web.HTTPException as error:
        status = error.status
        raise
    else:
        return answer
    finally:
        REQUESTS.labels(request.method, route, status).inc()
        SECONDS.labels(route).observe(time.perf_counter() - began)
        log.debug("request", method=request.method, route=route, status=status)
