"""One POST of one hook: signed, guarded, bounded in time and in what is read of its answer."""

import asyncio
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

import aiohttp
from standardwebhooks import Webhook
from yarl import URL

from hookline import __version__
from hookline.chain.events import AttemptError, HookPlan
from hookline.chain.keys import KeyRing
from hookline.chain.retries import is_delivered
from hookline.clock import Clock
from services.dispatcher.guard import AddressGuard, BlockedAddress, GuardedResolver

__all__ = ["HookPost", "Outcome", "Sender"]

MAX_ANSWER = 64 * 1024
"""Bytes read of an answer; the connection of a longer one is closed."""
KEPT_ANSWER = 1024
"""Bytes of an answer that go into the event."""
DNS_TTL_S = 10
KEEPALIVE_S = 30.0


class HookPost(NamedTuple):
    """What to send. `body`: JSON bytes; `timeout_s`: for connecting, sending and the answer together."""

    hook: HookPlan
    webhook_id: str
    body: bytes
    timeout_s: float


class Outcome(NamedTuple):
    """What came of it: `error` null means delivered. `answer`: the first 1 KiB as text."""

    took_ms: int
    status: int | None = None
    error: AttemptError | None = None
    answer: str | None = None
    retry_after_s: float | None = None


class Sender:
    """An HTTP client for receivers: no redirects, no proxies from the environment, no blocked addresses, no cookies."""

    def __init__(self, keys: KeyRing, clock: Clock, guard: AddressGuard) -> None:
        self._clock = clock
        self._webhook = lru_cache(maxsize=10_000)(
            lambda key, hook_id, version: Webhook(keys.hook_secret(key, hook_id, version))
        )
        connector = aiohttp.TCPConnector(
            limit=0,  # `Slots` bounds what is open
            resolver=GuardedResolver(guard),
            socket_factory=guard.socket_factory,
            ttl_dns_cache=DNS_TTL_S,
            keepalive_timeout=KEEPALIVE_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"Hookline/{__version__}", "Content-Type": "application/json"},
            skip_auto_headers=("Accept-Encoding",),
            auto_decompress=False,
        )

    async def post(self, post: HookPost) -> Outcome:
        """Never raises for what a receiver or the network does."""
        began = time.perf_counter()
        status: int | None = None
        retry_after_s: float | None = None
        try:
            async with self._session.post(
                URL(post.hook.url),
                data=post.body,
                headers=self._signed(post),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=post.timeout_s),
            ) as answer:
                status, retry_after_s = answer.status, self._retry_after(answer.headers.get("Retry-After"))
                text = await _read(answer)
        except (aiohttp.ClientError, BlockedAddress, OSError, TimeoutError, ValueError) as error:
            # Once a good status has come the hook is delivered, whatever becomes of the rest of the answer.
            kind = None if status is not None and is_delivered(status) else _kind(error, status)
            return Outcome(_ms(began), status, kind, None, retry_after_s)
        return Outcome(_ms(began), status, None if is_delivered(status) else AttemptError.STATUS, text, retry_after_s)

    async def close(self) -> None:
        await self._session.close()

    def _signed(self, post: HookPost) -> dict[str, str]:
        now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
        webhook: Webhook = self._webhook(post.hook.key, post.hook.id, post.hook.version)
        return {
            "webhook-id": post.webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": webhook.sign(post.webhook_id, now, post.body.decode()),
        }

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds, from a number or an HTTP date (RFC 9110 section 10.2.3); None where it is neither."""
        if value is None:
            return None
        if value.strip().isascii() and value.strip().isdigit():
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - self._clock.now_ms() / 1000)
        except ValueError:
            return None


async def _read(answer: aiohttp.ClientResponse) -> str | None:
    """At most MAX_ANSWER bytes; the first KEPT_ANSWER as text."""
    chunks, size = [], 0
    while size < MAX_ANSWER and (chunk := await answer.content.read(MAX_ANSWER - size)):
        chunks.append(chunk)
        size += len(chunk)
    if size >= MAX_ANSWER:
        answer.close()
    return b"".join(chunks)[:KEPT_ANSWER].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}") or None


def _kind(error: Exception, status: int | None) -> AttemptError:
    if status is not None:
        return AttemptError.STATUS
    match error:
        case BlockedAddress():
            return AttemptError.BLOCKED
        case asyncio.TimeoutError():
            return AttemptError.TIMEOUT
        case aiohttp.ClientConnectorDNSError():
            return AttemptError.DNS
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return AttemptError.TLS
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return AttemptError.CONNECT
        case _:
            return AttemptError.BROKEN


def _ms(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
