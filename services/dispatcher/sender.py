"""One POST of one hook: signed, guarded, bounded in time and in what is read of its answer. No redirects, no cookies, and no
proxy but the one of our settings."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

import structlog
from standardwebhooks import Webhook

from hookline import __version__
from hookline.chain.events import AttemptError, HookPlan
from hookline.chain.hook_secrets import signing
from hookline.chain.keys import KeyRing
from hookline.chain.retries import is_delivered
from hookline.clock import Clock
from hookline.web.hook_proxy import HookProxy
from hookline.web.hook_rules import ANY_URL, HookNotAllowed, HookRules
from hookline.web.hook_url import HookUrl, HookUrlError, parse_hook_url
from hookline.web.http_date import parse_http_date
from services.dispatcher.address_guard import AddressGuard, BlockedAddress
from services.dispatcher.answer_reader import AnswerReader
from services.dispatcher.certificates import client_context
from services.dispatcher.connection import Connection, Exchange
from services.dispatcher.dialer import Dial, Dialer, Phase, Progress
from services.dispatcher.failures import Failure, not_connected, of_answer, timed_out, unanswered
from services.dispatcher.kept_connections import KeptConnections, Origin
from services.dispatcher.resolver import GetAddresses, Resolver, system_addresses

__all__ = ["HookPost", "Outcome", "Sender"]

log = structlog.get_logger()

REMEMBERED_SECRETS = 10_000
MOST_DIGITS = 12
"""Of a Retry-After in seconds: 30,000 years."""
_CONSTANT_HEADERS = f"User-Agent: Hookline/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\nContent-Type: application/json\r\n"


class HookPost(NamedTuple):
    """What to send. `body`: JSON bytes; `timeout_s`: for connecting, sending and the answer together.

    `is_retry`: on a new connection, since an older one may be why the attempt before failed.
    """

    hook: HookPlan
    webhook_id: str
    body: bytes
    timeout_s: float
    is_retry: bool = False


class Outcome(NamedTuple):
    """What came of it: `error` null means delivered. `detail`: why, in words; `answer`: its first KiB as text;
    `by_proxy`: it failed by the outgoing proxy, and its receiver was not heard."""

    took_ms: int
    status: int | None = None
    error: AttemptError | None = None
    answer: str | None = None
    retry_after_s: float | None = None
    detail: str | None = None
    by_proxy: bool = False

    @property
    def kind(self) -> str:
        """As metrics name it."""
        return "proxy" if self.by_proxy else self.error or "delivered"


class Sender:
    """Posts hooks, and keeps connections."""

    def __init__(
        self,
        keys: KeyRing,
        clock: Clock,
        guard: AddressGuard,
        *,
        rules: HookRules = ANY_URL,
        proxy: HookProxy | None = None,
        places: int = 200,
        get_addresses: GetAddresses = system_addresses,
        dial: Dial | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """places: hooks that may be in flight at once, and so lookups of names, and idle connections; dial: how new
        connections are made, where not over the network (by `proxy`, if any)."""
        self._clock = clock
        self._rules = rules
        self._dial = dial or Dialer(Resolver(places, get_addresses), guard, client_context(), proxy)
        self._kept = KeptConnections(places, monotonic)
        self._webhook = lru_cache(maxsize=REMEMBERED_SECRETS)(
            lambda key, hook_id, version: Webhook(keys.hook_secret(key, hook_id, version))
        )

    async def post(self, post: HookPost) -> Outcome:
        """Never raises for what a receiver or the network does. Raises KeyMissing."""
        began, progress = time.perf_counter(), Progress()
        try:
            url = parse_hook_url(post.hook.url)
            self._rules.check(url)
        except HookNotAllowed as error:  # saved under other settings
            return Outcome(0, None, AttemptError.BLOCKED, detail=f"its URL is not allowed here: {error}")
        except HookUrlError as error:  # saved by a version that took it
            return Outcome(0, None, AttemptError.BROKEN, detail=f"its URL cannot be called: {error}")
        try:
            why_not = await self._try(post, url, progress)
        except Exception:
            if progress.status is None:
                raise
            log.exception("after a status had come", status=progress.status)
        took_ms = round((time.perf_counter() - began) * 1000)
        if progress.status is None:
            failure = why_not()
            return Outcome(took_ms, None, failure.error, detail=failure.detail, by_proxy=failure.by_proxy)
        return self._outcome(progress, progress.status, url, took_ms)

    async def close(self) -> None:
        self._kept.close()

    async def _try(self, post: HookPost, url: HookUrl, progress: Progress) -> Callable[[], Failure]:
        """Send it; why there is no status, for where there is none."""
        request = self._request(post, url)
        try:
            async with asyncio.timeout(post.timeout_s) as limit:
                answer, ended = await self._exchange(request, url, progress, is_retry=post.is_retry)
        except (OSError, BlockedAddress) as error:
            if limit.expired():
                return partial(timed_out, progress.phase, post.timeout_s, progress.answer)
            return partial(not_connected, error, progress.phase, url)
        return partial(unanswered, answer, ended, url)

    async def _exchange(self, request: bytes, url: HookUrl, progress: Progress, *, is_retry: bool) -> Exchange:
        """Raises as `Dial`."""
        origin = (url.scheme, url.host, url.port)
        if not is_retry and (kept := self._kept.take(origin)) is not None:
            exchange = await self._over(kept, request, origin, progress)
            if exchange.answer.began:
                return exchange
            # It was closed while it was idle, or just as this was sent. A hook is sent at least once, under one
            # webhook-id, so sending it again is safe (RFC 9110 section 9.2.2), and it is the same attempt.
            progress.connection = None
        connection = await self._dial(url, progress)
        return await self._over(connection, request, origin, progress)

    async def _over(self, connection: Connection, request: bytes, origin: Origin, progress: Progress) -> Exchange:
        progress.connection, progress.phase = connection, Phase.ANSWER
        try:
            exchange = await connection.exchange(request)
            self._kept.keep(origin, connection)
        except BaseException:
            connection.close()
            raise
        return exchange

    def _request(self, post: HookPost, url: HookUrl) -> bytes:
        """Head and body, in one piece. Raises KeyMissing."""
        now_ms = self._clock.now_ms()
        now, body = datetime.fromtimestamp(now_ms // 1000, UTC), post.body.decode()
        webhooks = [self._webhook(key, post.hook.id, version) for key, version in signing(post.hook, now_ms)]
        signature = " ".join(webhook.sign(post.webhook_id, now, body) for webhook in webhooks)
        head = (
            f"POST {url.target} HTTP/1.1\r\nHost: {url.authority}\r\n{_CONSTANT_HEADERS}"
            f"Content-Length: {len(post.body)}\r\nwebhook-id: {post.webhook_id}\r\n"
            f"webhook-timestamp: {int(now.timestamp())}\r\nwebhook-signature: {signature}\r\n\r\n"
        )
        return head.encode("ascii") + post.body

    def _outcome(self, progress: Progress, status: int, url: HookUrl, took_ms: int) -> Outcome:
        """A status has come: nothing takes it back, not even a fault in what is made of the rest."""
        outcome = Outcome(took_ms, status, None if is_delivered(status) else AttemptError.STATUS)
        try:
            answer = progress.answer
            assert answer is not None, "it has the status"
            outcome = outcome._replace(answer=_text(answer), retry_after_s=self._retry_after_s(answer))
            return outcome if outcome.error is None else outcome._replace(detail=of_answer(answer, url))
        except Exception:
            log.exception("what came with a status could not be read", status=status)
            return outcome

    def _retry_after_s(self, answer: AnswerReader) -> float | None:
        """Seconds, from a number or an HTTP date (RFC 9110 section 10.2.3); None where it is neither."""
        value = answer.header("retry-after")
        if value is None:
            return None
        if value.isascii() and value.isdigit():
            return float(value.lstrip("0")[:MOST_DIGITS] or 0)
        at = parse_http_date(value, self._clock.now_ms())
        return None if at is None else max(0.0, at - self._clock.now_ms() / 1000)


def _text(answer: AnswerReader) -> str | None:
    """The first KiB of the body; None for none, and for one that is compressed, though nobody asked for that."""
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        return None
    return answer.body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}") or None
