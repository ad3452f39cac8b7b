"""One POST over real HTTP: what is sent, what counts as delivered, and what is never reached."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from standardwebhooks import Webhook, WebhookVerificationError

from hookline.chain.events import AttemptError, HookPlan, SecretBefore
from hookline.chain.keys import KeyRing
from hookline.clock import SystemClock
from hookline.errors import KeyMissing
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.answer_reader import KEPT_ANSWER, MAX_ANSWER
from services.dispatcher.certificates import client_context
from services.dispatcher.dialer import Dialer
from services.dispatcher.resolver import Resolver
from services.dispatcher.sender import HookPost, Sender
from tests.unit.dispatcher.harness import KEY

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
KEYS = KeyRing.parse([KEY])
FOR_LONG = 9_999_999_999_999
"""Unix ms; 2286."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return str(server.make_url("/hook"))

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    made = Sender(KEYS, SystemClock(), AddressGuard(LOOPBACK))
    yield made
    await made.close()


def a_post(url: str, timeout_s: float = 5, body: bytes = b'{"callback_url":"http://c/"}') -> HookPost:
    return HookPost(HookPlan(id="h1", version=1, key="k1", name="1", url=url), "chain-1", body, timeout_s)


async def test_what_is_sent_verifies_with_the_standard_webhooks_library(serve: Serve, sender: Sender) -> None:
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((await request.read(), dict(request.headers)))
        return web.Response(text="thanks")

    outcome = await sender.post(a_post(await serve(handler)))
    ((body, headers),) = seen
    Webhook(KEYS.hook_secret("k1", "h1", 1)).verify(body, {k.lower(): v for k, v in headers.items()})
    assert headers["webhook-id"] == "chain-1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("Hookline/")
    assert (outcome.error, outcome.status, outcome.answer) == (None, 200, "thanks")


@pytest.mark.parametrize(
    ("version", "before", "good"),
    [
        (1, None, {1}),
        (2, SecretBefore(version=1, key="k1", until=FOR_LONG), {1, 2}),
        (2, SecretBefore(version=1, key="k1", until=1), {2}),
        (5, SecretBefore(version=4, key="k1", until=FOR_LONG), {4, 5}),
    ],
)
async def test_a_secret_that_was_rotated_out_signs_too_for_a_while(
    serve: Serve, sender: Sender, version: int, before: SecretBefore | None, good: set[int]
) -> None:
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((await request.read(), {k.lower(): v for k, v in request.headers.items()}))
        return web.Response()

    post = a_post(await serve(handler))
    hook = post.hook.model_copy(update={"version": version, "before": before})
    await sender.post(post._replace(hook=hook))
    ((body, headers),) = seen
    assert len(headers["webhook-signature"].split(" ")) == len(good)
    for one in range(1, 7):
        webhook = Webhook(KEYS.hook_secret("k1", "h1", one))
        if one in good:
            webhook.verify(body, headers)
            continue
        with pytest.raises(WebhookVerificationError):
            webhook.verify(body, headers)


async def test_without_the_key_of_a_secret_that_still_signs_nothing_is_sent(sender: Sender) -> None:
    post = a_post("http://127.0.0.1:1/")
    before = SecretBefore(version=1, key="gone", until=FOR_LONG)
    with pytest.raises(KeyMissing, match="gone"):
        await sender.post(post._replace(hook=post.hook.model_copy(update={"before": before})))


@pytest.mark.parametrize(("status", "error"), [(200, None), (204, None), (300, None), (302, None), (303, None), (304, None), (301, AttemptError.STATUS), (307, AttemptError.STATUS), (308, AttemptError.STATUS), (400, AttemptError.STATUS), (410, AttemptError.STATUS), (503, AttemptError.STATUS)])  # fmt: skip
async def test_2xx_and_some_3xx_are_delivered_and_no_redirect_is_followed(
    serve: Serve, sender: Sender, status: int, error: AttemptError | None
) -> None:
    calls: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    outcome = await sender.post(a_post(await serve(handler)))
    assert (outcome.status, outcome.error) == (status, error)
    assert calls == ["/hook"]


async def test_a_hung_receiver_is_cut_at_the_timeout(serve: Serve, sender: Sender) -> None:
    forever = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    outcome = await sender.post(a_post(await serve(handler), timeout_s=0.2))
    assert (outcome.error, outcome.status) == (AttemptError.TIMEOUT, None)
    forever.set()


async def test_at_most_64_kib_of_an_answer_are_read_and_1_kib_is_kept(serve: Serve, sender: Sender) -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(4096):
            await answer.write(b"x" * 16_384)
            sent += 16_384
        return answer

    outcome = await sender.post(a_post(await serve(handler), timeout_s=20))
    assert (outcome.error, outcome.answer) == (None, "x" * KEPT_ANSWER)
    assert sent < 4096 * 16_384, "the connection was closed, not read to its end"
    assert MAX_ANSWER == 65_536


async def test_a_good_status_counts_whatever_becomes_of_the_rest(serve: Serve, sender: Sender) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    outcome = await sender.post(a_post(await serve(handler)))
    assert (outcome.error, outcome.status) == (None, 200)


async def test_a_connection_closed_before_any_answer_is_broken(serve: Serve, sender: Sender) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    assert (await sender.post(a_post(await serve(handler)))).error is AttemptError.BROKEN


async def test_nobody_listens(sender: Sender) -> None:
    assert (await sender.post(a_post(f"http://127.0.0.1:{unused_port()}/"))).error is AttemptError.CONNECT


async def test_a_name_that_does_not_resolve(sender: Sender) -> None:
    assert (await sender.post(a_post("http://no-such-host.invalid/"))).error is AttemptError.DNS


async def test_tls_to_a_server_that_speaks_none(serve: Serve, sender: Sender) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    url = (await serve(handler)).replace("http://", "https://")
    assert (await sender.post(a_post(url))).error in (AttemptError.TLS, AttemptError.CONNECT)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1"])
async def test_a_blocked_address_is_never_connected_to_however_it_is_written(serve: Serve, host: str) -> None:
    calls = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response()

    port = (await serve(handler)).split(":")[2].split("/")[0]
    sender = Sender(KEYS, SystemClock(), AddressGuard(()))
    try:
        outcome = await sender.post(a_post(f"http://{host}:{port}/"))
    finally:
        await sender.close()
    assert (outcome.error, calls) == (AttemptError.BLOCKED, 0)


async def test_one_blocked_address_among_the_answers_blocks_the_name() -> None:
    guard, resolver = AddressGuard(LOOPBACK), Resolver(8, lambda host: ["127.0.0.1", "10.0.0.1"])
    sender = Sender(KEYS, SystemClock(), guard, dial=Dialer(resolver, guard, client_context()))
    outcome = await sender.post(a_post("http://mixed.test/"))
    assert (outcome.error, outcome.detail) == (
        AttemptError.BLOCKED,
        "mixed.test is 10.0.0.1, which is not a public address",
    )


async def test_proxies_of_the_environment_are_not_used(
    serve: Serve, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    assert (await sender.post(a_post(await serve(handler)))).error is None


@pytest.mark.parametrize(("value", "least", "most"), [("120", 120, 120), ("soon", None, None), (format_datetime(datetime(2100, 1, 1, tzinfo=UTC)), 1e9, 1e10), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("-5", None, None)])  # fmt: skip
async def test_retry_after_in_seconds_or_as_a_date(
    serve: Serve, sender: Sender, value: str, least: float | None, most: float | None
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": value})

    outcome = await sender.post(a_post(await serve(handler)))
    if least is None or most is None:
        assert outcome.retry_after_s is None
    else:
        assert outcome.retry_after_s is not None
        assert least <= outcome.retry_after_s <= most


async def test_a_broken_http_answer_is_broken_not_a_crash(sender: Sender) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert (await sender.post(a_post(f"http://127.0.0.1:{port}/"))).error is AttemptError.BROKEN
    finally:
        server.close()
