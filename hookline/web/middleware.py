"""What every public app answers for our errors, and its request metrics by route (never by path: I11)."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from aiohttp import web
from prometheus_client import Counter, Histogram

from hookline.errors import AppendFailed, Invalid, LogError, TooMany, Unavailable

__all__ = ["error_middleware", "json_error", "metrics_middleware"]

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS = Counter("hookline_http_requests", "Requests answered", ["method", "route", "status"])
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
    """Our errors as HTTP: Invalid 400, TooMany 429, Unavailable and the log's 503 with Retry-After; anything else 500 without its text."""
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
    except TooMany as error:
        return json_error(HTTPStatus.TOO_MANY_REQUESTS, {"detail": str(error)}, error.retry_after_s)
    except Unavailable as error:
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": str(error)}, error.retry_after_s)
    except LogError as error:
        said = "not acknowledged by Kafka" if isinstance(error, AppendFailed) else "Kafka does not answer"
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, {"detail": said}, 1)


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
