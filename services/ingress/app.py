"""The HTTP of ingress: `POST /events/{source}` (design section 6). Never 3xx: a registry would count it as delivered."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

import structlog
from aiohttp import web

from hookline.clock import Clock
from hookline.errors import Unavailable, Unreadable
from hookline.web.body import COMPRESSED_BODIES, inflate, read_body
from hookline.web.middleware import error_middleware, json_error, metrics_middleware
from services.ingress import metrics
from services.ingress.credentials import Tokens
from services.ingress.delivery import Delivery
from services.ingress.intake import Intake, Tally
from services.ingress.records import Receipt
from services.ingress.source import Source

__all__ = ["MAX_BODY", "ingress_app"]

log = structlog.get_logger()

MAX_BODY = 1024 * 1024
"""Bytes of a body, as sent and inflated."""
NOT_CONFIGURED = (
    "source not configured: set HOOKLINE_INGRESS_TOKENS (comma-separated) and send one of them as "
    "Authorization: Bearer, as the password of HTTP Basic, or as ?token="
)
ENCODING = "Content-Encoding"


class _Handler:
    def __init__(
        self, sources: Mapping[str, Source], tokens: Tokens, intake: Callable[[], Intake | None], clock: Clock
    ) -> None:
        self._sources = sources
        self._tokens = tokens
        self._intake = intake
        self._clock = clock

    async def receive(self, request: web.Request) -> web.Response:
        received_at = self._clock.now_ms()
        source = self._sources.get(request.match_info["source"])
        if source is None:
            return json_error(
                HTTPStatus.NOT_FOUND, {"detail": f"unknown source; there are: {', '.join(self._sources)}"}
            )
        if not source.configured(self._tokens):
            metrics.REFUSED.labels(source.name, "not_configured").inc()
            return json_error(HTTPStatus.NOT_FOUND, {"detail": NOT_CONFIGURED})
        try:
            return await self._take(source, request, received_at)
        except web.HTTPRequestEntityTooLarge:
            metrics.REFUSED.labels(source.name, "too_large").inc()
            log.warning("refused a body over the limit", source=source.name, limit=MAX_BODY)
            raise

    async def _take(self, source: Source, request: web.Request, received_at: int) -> web.Response:
        body = await read_body(request, MAX_BODY)
        sent = Delivery(body, request.headers, request.query)
        if not source.verify(sent, self._tokens):
            metrics.REFUSED.labels(source.name, "credential").inc()
            return _unauthorized()
        if (intake := self._intake()) is None:
            raise Unavailable("not connected to Kafka yet")
        try:
            plain = inflate(body, request.headers.get(ENCODING, ""), MAX_BODY)
        except Unreadable as error:
            kept = frozenset({ENCODING.lower()})
            return _accepted(await intake.quarantine(Receipt(source, sent, received_at), str(error), keep=kept))
        delivery = Delivery(plain, request.headers, request.query)
        return _accepted(await intake.take(Receipt(source, delivery, received_at)))


def _accepted(tally: Tally) -> web.Response:
    return web.json_response(tally._asdict(), status=HTTPStatus.ACCEPTED)


def _unauthorized() -> web.Response:
    answer = json_error(HTTPStatus.UNAUTHORIZED, {"detail": "the credential is missing or wrong"})
    answer.headers["WWW-Authenticate"] = 'Bearer, Basic realm="hookline"'
    return answer


def ingress_app(
    sources: Mapping[str, Source], tokens: Tokens, intake: Callable[[], Intake | None], clock: Clock
) -> web.Application:
    """`intake`: None as long as there is no connection to Kafka."""
    app = web.Application(middlewares=[metrics_middleware, error_middleware], client_max_size=MAX_BODY)
    app[COMPRESSED_BODIES] = True
    app.router.add_post("/events/{source}", _Handler(sources, tokens, intake, clock).receive)
    return app
