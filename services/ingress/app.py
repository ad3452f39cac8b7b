"""The HTTP of ingress: `POST /events/{source}` (design section 6). Never 3xx: a registry would count it as delivered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

import structlog
from aiohttp import web

from hookline.clock import Clock
from hookline.errors import Forbidden, RecordTooLarge, Unavailable, Unreadable
from hookline.settings import Settings
from hookline.web.body import COMPRESSED_BODIES, inflate, read_body
from hookline.web.door import FOREIGN_HEADERS
from hookline.web.in_flight import InFlight
from hookline.web.middleware import error_middleware, json_error, metrics_middleware
from services.ingress import metrics
from services.ingress.allowance import Allowance, Rates
from services.ingress.credentials import CredentialId, Credentials
from services.ingress.delivery import Delivery
from services.ingress.intake import Intake, Tally
from services.ingress.push_records import Receipt
from services.ingress.reading import clean
from services.ingress.source import Source
from services.ingress.turns import Turns

__all__ = ["MAX_BODY", "Door", "ingress_app"]

log = structlog.get_logger()

MAX_BODY = 1024 * 1024
"""Bytes of a body, as sent and inflated."""
ENCODING = "Content-Encoding"
TOLD_IN_TURN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})
"""What anybody gets who has no credential."""
ALLOWED = "POST, OPTIONS"
ANYONE: CredentialId = b""
"""What opens a door where there is nothing to check."""


@dataclass(frozen=True)
class Door:
    """A source, and what its deliveries are checked against. `is_open`: to anyone, where there is nothing to check."""

    source: Source
    credentials: Credentials
    is_open: bool = False

    def unset(self) -> str:
        """What must be set before anything comes in; "" for nothing."""
        if self.is_open or self.source.can_verify(self.credentials):
            return self.source.unset()
        return self.source.credential_to_set

    async def opened_by(self, head: Delivery) -> CredentialId | None:
        """What the head opens it with: no body is needed for that. Raises Unavailable."""
        if not self.source.can_verify(self.credentials):
            return ANYONE if self.is_open else None
        return await self.source.verify_head(head, self.credentials)

    def may_be_signed(self, head: Delivery) -> bool:
        """May the body's signature open it?"""
        return self.source.claims_signature(head, self.credentials)

    async def opened_by_signature(self, sent: Delivery) -> CredentialId | None:
        """What the body is signed with. Raises Unavailable."""
        return await self.source.verify_body(sent, self.credentials)


class _Handler:
    def __init__(
        self,
        doors: Mapping[str, Door],
        intake: Callable[[], Intake | None],
        clock: Clock,
        unproven: InFlight,
        allowance: Allowance,
        refusals: Turns,
    ) -> None:
        self._doors = doors
        self._intake = intake
        self._clock = clock
        self._unproven = unproven
        self._allowance = allowance
        self._refusals = refusals

    async def receive(self, request: web.Request) -> web.Response:
        return await self._answered(request, self._receive)

    async def explain(self, request: web.Request) -> web.Response:
        """What to do instead of GET or HEAD: registries and people try a URL before they use it."""
        return await self._answered(request, self._explain)

    async def _explain(self, request: web.Request) -> web.Response:
        door = self._door(request)
        if isinstance(door, web.Response):
            return door
        said = f"events of {door.source.title} are accepted by POST only: {request.method} does nothing"
        answer = json_error(HTTPStatus.METHOD_NOT_ALLOWED, {"detail": said})
        answer.headers["Allow"] = ALLOWED
        return answer

    async def shake_hands(self, request: web.Request) -> web.Response:
        """CloudEvents' webhooks ask whether they may send before they do (its HTTP webhook specification, section 4)."""
        return await self._answered(request, self._shake_hands)

    async def _answered(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> web.Response:
        answer = await handler(request)
        if answer.status in TOLD_IN_TURN:
            await self._refusals.turn(request)
        return answer

    async def _receive(self, request: web.Request) -> web.Response:
        received_at = self._clock.now_ms()
        door = self._door(request)
        if isinstance(door, web.Response):
            return door
        try:
            return await self._take(door, request, received_at)
        except web.HTTPRequestEntityTooLarge:
            metrics.REFUSED.labels(door.source.name, "too_large").inc()
            log.warning("refused a body over the limit", source=door.source.name, limit=MAX_BODY)
            raise
        except Forbidden:
            metrics.REFUSED.labels(door.source.name, "repository").inc()
            log.warning("refused a push to a repository that its credential does not name", source=door.source.name)
            raise
        except RecordTooLarge:
            metrics.REFUSED.labels(door.source.name, "too_large").inc()
            raise

    async def _shake_hands(self, request: web.Request) -> web.Response:
        door = self._door(request)
        if isinstance(door, web.Response):
            return door
        if not door.source.handshake:
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        asked = Delivery(b"", request.headers, request.query)
        if await door.opened_by(asked) is None and await door.opened_by_signature(asked) is None:
            return _unauthorized(door)
        allowed = {"Allow": "POST", "WebHook-Allowed-Rate": "*"}
        if origin := request.headers.get("WebHook-Request-Origin"):
            allowed["WebHook-Allowed-Origin"] = clean(origin)
        return web.Response(headers=allowed)

    def _door(self, request: web.Request) -> Door | web.Response:
        """The door, or 404 where there is none, or none that can be opened."""
        door = self._doors.get(request.match_info["source"].lower())
        if door is None:
            return _not_found(f"unknown source; there are: {', '.join(self._doors)}")
        if missing := door.unset():
            metrics.REFUSED.labels(door.source.name, "not_configured").inc()
            return _not_found(f"source not configured: {missing}")
        return door

    async def _take(self, door: Door, request: web.Request, received_at: int) -> web.Response:
        proven = await self._prove(door, request)
        if proven is None:
            return _unauthorized(door)
        sent, credential = proven
        intake, source = self._connected(), door.source
        try:
            plain = inflate(sent.body, request.headers.get(ENCODING, ""), MAX_BODY)
        except Unreadable as error:
            kept = frozenset({ENCODING.lower()})
            return _accepted(await intake.quarantine(Receipt(source, sent, received_at), str(error), keep=kept))
        self._allowance.charge(source.name, credential, max(0, len(plain) - len(sent.body)))
        receipt = Receipt(source, replace(sent, body=plain), received_at)
        if (answer := source.answer_to_handshake(receipt.delivery)) is not None:
            log.info("answered a handshake", source=source.name)
            return web.json_response(answer)
        return _accepted(await intake.take(receipt, door.credentials.scope_of(credential)))

    async def _prove(self, door: Door, request: web.Request) -> tuple[Delivery, CredentialId] | None:
        """The delivery as it was sent, and its credential; None where that is not good. Nothing of the body is read before the
        credential is good, where the head has it.

        Raises Unavailable, TooMany, and as `read_body`.
        """
        head = Delivery(b"", request.headers, request.query)
        if (credential := await door.opened_by(head)) is not None:
            self._connected()
            known = request.content_length or 0
            self._allowance.admit(door.source.name, credential, known)
            body = await read_body(request, MAX_BODY)
            self._allowance.charge(door.source.name, credential, len(body) - known)
            return replace(head, body=body), credential
        if not door.may_be_signed(head) or (proven := await self._signed(door, head, request)) is None:
            return None
        sent, credential = proven
        self._allowance.admit(door.source.name, credential, len(sent.body))
        return proven

    async def _signed(self, door: Door, head: Delivery, request: web.Request) -> tuple[Delivery, CredentialId] | None:
        """The delivery and what it is signed with, if that is good. Raises Unavailable, and as `read_body`."""
        with self._unproven.room() as room:
            try:
                body = await read_body(request, MAX_BODY, room=room)
            except Unavailable:
                metrics.REFUSED.labels(door.source.name, "in_flight").inc()
                raise
            sent = replace(head, body=body)
            credential = await door.opened_by_signature(sent)
            return None if credential is None else (sent, credential)

    def _connected(self) -> Intake:
        """Raises Unavailable."""
        if (intake := self._intake()) is None:
            raise Unavailable("not connected to Kafka yet")
        return intake


def _accepted(tally: Tally) -> web.Response:
    said: dict[str, int | str] = {
        "accepted": tally.accepted,
        "duplicates": tally.duplicates,
        "ignored": tally.ignored,
        "quarantined": tally.quarantined,
    }
    if tally.reason:
        said["reason"] = tally.reason
    return web.json_response(said, status=HTTPStatus.OK if tally.is_ping else HTTPStatus.ACCEPTED)


def _not_found(detail: str) -> web.Response:
    return json_error(HTTPStatus.NOT_FOUND, {"detail": detail})


def _unauthorized(door: Door) -> web.Response:
    metrics.REFUSED.labels(door.source.name, "credential").inc()
    answer = json_error(HTTPStatus.UNAUTHORIZED, {"detail": "the credential is missing or wrong"})
    answer.headers["WWW-Authenticate"] = 'Bearer, Basic realm="hookline"'
    return answer


def ingress_app(
    doors: Mapping[str, Door], intake: Callable[[], Intake | None], clock: Clock, settings: Settings
) -> web.Application:
    """`doors`: by source, looked up for each request; `intake`: None as long as there is no connection to Kafka."""
    app = web.Application(middlewares=[metrics_middleware, error_middleware], client_max_size=MAX_BODY)
    app[COMPRESSED_BODIES] = app[FOREIGN_HEADERS] = True
    unproven = InFlight(settings.ingress_bytes_in_flight, metrics.UNPROVEN_BYTES)
    rates = Rates(settings.ingress_rate, settings.ingress_byte_rate)
    handler = _Handler(doors, intake, clock, unproven, Allowance(rates, clock), Turns(clock))
    for name in ("{source}", "{source:[^/]+/[^/]+}"):  # the other: of a mapping of `generic`
        for path in (f"/events/{name}", f"/events/{name}/"):
            app.router.add_post(path, handler.receive)
            app.router.add_options(path, handler.shake_hands)
            app.router.add_get(path, handler.explain)
    return app
