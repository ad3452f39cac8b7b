"""Hooks through an outgoing proxy: the guard judges the target, and what the proxy fails at is said to be the proxy's."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import uvloop
from aiohttp.test_utils import unused_port

from hookline.chain.events import AttemptError, HookAttemptFailed
from hookline.clock import SystemClock
from hookline.settings import IPNetwork
from hookline.testing.memory import MemoryCluster
from hookline.web.hook_proxy import parse_hook_proxy
from services.dispatcher import metrics
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.certificates import client_context
from services.dispatcher.dialer import MAX_TUNNELS, Dialer
from services.dispatcher.resolver import Resolver
from services.dispatcher.sender import Outcome, Sender
from services.dispatcher.tunnel import MAX_HEAD
from tests.kit.waiting import until
from tests.metric_values import value_of
from tests.unit.dispatcher.certificate_maker import make_authority, make_certificate, pem, server_context
from tests.unit.dispatcher.connect_proxy import OPENED, authorities, connect_proxy
from tests.unit.dispatcher.harness import World, plan
from tests.unit.dispatcher.raw_receiver import OK, Handle, Line, always, once, raw_receiver
from tests.unit.dispatcher.test_sender import KEYS, LOOPBACK, a_post

ROOT = make_authority("Root")
NAMES = {"receiver.test": ["127.0.0.1"], "private.test": ["10.0.0.1"], "mixed.test": ["127.0.0.1", "10.0.0.1"]}


def through(
    port: int,
    *,
    userinfo: str = "",
    names: dict[str, list[str]] = NAMES,
    allowed: Sequence[IPNetwork] = LOOPBACK,
    proxy_host: str = "127.0.0.1",
) -> Sender:
    """A sender whose hooks go through the proxy on that port."""
    context, guard = client_context(), AddressGuard(allowed)
    context.load_verify_locations(cadata=pem(ROOT).decode())
    proxy = parse_hook_proxy(f"http://{userinfo}{proxy_host}:{port}")
    resolver = Resolver(8, lambda host: names[host])
    return Sender(KEYS, SystemClock(), guard, dial=Dialer(resolver, guard, context, proxy))


async def post(sender: Sender, url: str, timeout_s: float = 5) -> Outcome:
    try:
        return await sender.post(a_post(url, timeout_s))
    finally:
        await sender.close()


# --- what works


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel_to_the_judged_address_and_inside_it_the_name(tmp_path: Path, scheme: str) -> None:
    """The proxy is never given the name: it would look it up itself, and later."""
    certificate = make_certificate(ROOT, names=("receiver.test",))
    tls = server_context(tmp_path, certificate) if scheme == "https" else None
    async with connect_proxy() as proxy, raw_receiver(always(OK), tls=tls) as receiver:
        sender = through(proxy.port)
        for _ in range(3):
            outcome = await sender.post(a_post(f"{scheme}://receiver.test:{receiver.port}/hook"))
            assert (outcome.error, outcome.status, outcome.kind) == (None, 200, "delivered"), outcome.detail
        await sender.close()

    assert authorities(proxy) == [f"127.0.0.1:{receiver.port}"], "one tunnel, kept for the hooks after it"
    assert len(receiver.lines) == 1
    assert all(f"Host: receiver.test:{receiver.port}\r\n".encode() in request for request in receiver.requests)
    assert b"receiver.test" not in proxy.requests[0]


def test_under_uvloop_too(tmp_path: Path) -> None:
    async def both() -> tuple[Outcome, Outcome]:
        tls = server_context(tmp_path, make_certificate(ROOT, names=("receiver.test",)))
        async with connect_proxy() as proxy, raw_receiver(always(OK), tls=tls) as receiver:
            good = await post(through(proxy.port), f"https://receiver.test:{receiver.port}/")
        async with connect_proxy(lambda line: line.hang()) as proxy:
            return good, await post(through(proxy.port), "https://receiver.test/", timeout_s=0.2)

    good, hung = uvloop.run(both())

    assert (good.error, good.status) == (None, 200)
    assert (hung.error, hung.kind) == (AttemptError.TIMEOUT, "proxy")


async def test_an_ipv6_address_stands_in_brackets() -> None:
    async with connect_proxy(once(b"HTTP/1.1 403 no\r\n\r\n")) as proxy:
        await post(through(proxy.port), "http://[::1]:8443/")

    assert authorities(proxy) == ["[::1]:8443"]
    assert b"\r\nHost: [::1]:8443\r\n" in proxy.requests[0]


async def test_a_proxy_by_name_is_looked_up_and_not_judged() -> None:
    """It is the operator's, and may well be private: here no private address is allowed, and the proxy has one."""
    names = {"proxy.test": ["127.0.0.1"], "public.test": ["93.184.215.14"]}
    async with connect_proxy(once(b"HTTP/1.1 403 no\r\n\r\n")) as proxy:
        outcome = await post(
            through(proxy.port, names=names, allowed=(), proxy_host="proxy.test"), "https://public.test/"
        )

    assert authorities(proxy) == ["93.184.215.14:443"]
    assert outcome.kind == "proxy"


# --- the guard


@pytest.mark.parametrize("host", ["private.test", "mixed.test", "10.0.0.1", "169.254.169.254", "[fd00::1]", "0x0a.1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_blocked_target_is_never_asked_for(host: str, scheme: str) -> None:
    async with connect_proxy() as proxy:
        outcome = await post(through(proxy.port), f"{scheme}://{host}/")

    assert outcome.error is AttemptError.BLOCKED
    assert outcome.kind == "blocked"
    assert proxy.lines == []


async def test_a_name_that_does_not_resolve_here_is_not_the_proxys_fault() -> None:
    async with connect_proxy() as proxy:
        sender = Sender(KEYS, SystemClock(), AddressGuard(()), proxy=parse_hook_proxy(f"http://127.0.0.1:{proxy.port}"))
        outcome = await post(sender, "http://no-such-host.invalid/")

    assert (outcome.error, outcome.kind, proxy.lines) == (AttemptError.DNS, "dns", [])


# --- the proxy's failures


async def reset(line: Line) -> None:
    """RST, not FIN."""
    await line.request()
    line.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def close(line: Line) -> None:
    await line.request()


WITHOUT_END = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD
FAILURES: dict[str, tuple[Handle, str]] = {
    "407": (once(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"), "it wants a user name and a password (407)"),
    "403": (once(b"HTTP/1.0 403 Forbidden\r\n\r\n<html>"), "it does not allow the receiver (403)"),
    "502": (once(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "it does not reach the receiver (502)"),
    "503": (once(b"HTTP/1.1 503\r\n\r\n"), "it does not reach the receiver (503)"),
    "504": (once(b"HTTP/1.1 504 Gateway Timeout\r\n\r\n"), "it does not reach the receiver (504)"),
    "redirect": (once(b"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n"), "it answered 302"),
    "informational": (once(b"HTTP/1.1 100 Continue\r\n\r\n"), "it answered 100"),
    "500": (once(b"HTTP/1.1 500 \r\n\r\n"), "it answered 500"),
    "no answer": (close, "it closed the connection without an answer"),
    "closed mid-answer": (once(b"HTTP/1.1 200 OK\r\nVia: x"), "it closed the connection in the middle of its answer"),
    "reset": (reset, "connection reset"),
    "garbage": (once(b"SSH-2.0-OpenSSH_9.6\r\n"), "its answer is not HTTP"),
    "garbage in one line": (once(b"HTTP/1.1 2000 OK\r\n\r\n"), "its answer is not HTTP"),
    "another HTTP": (once(b"HTTP/2 200\r\n\r\n"), "its answer is not HTTP"),
    "TLS": (once(b"\x15\x03\x01\x00\x02\x02\x46"), "its answer is not HTTP"),
    "NUL": (once(b"\0" * 100), "its answer is not HTTP"),
    "without an end": (once(WITHOUT_END), "its answer is longer than 8 KiB"),
    "more than an answer": (once(OPENED + OK), "it sent more than its answer"),
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("cause", FAILURES)
async def test_each_failure_is_named_as_the_proxys(cause: str, scheme: str) -> None:
    handle, said = FAILURES[cause]
    async with raw_receiver(always(OK)) as receiver, connect_proxy(handle) as proxy:
        outcome = await post(through(proxy.port), f"{scheme}://receiver.test:{receiver.port}/")

    assert (outcome.error, outcome.status, outcome.kind) == (AttemptError.CONNECT, None, "proxy")
    assert outcome.detail == f"the outgoing proxy: {said}"
    assert (len(proxy.lines), len(receiver.lines)) == (1, 0)


async def test_nobody_listens_where_the_proxy_should_be() -> None:
    outcome = await post(through(unused_port()), "http://receiver.test/")

    assert (outcome.error, outcome.detail) == (AttemptError.CONNECT, "the outgoing proxy: connection refused")
    assert outcome.kind == "proxy"


async def test_a_proxy_whose_name_is_unknown() -> None:
    proxy = parse_hook_proxy("http://no-such-host.invalid:3128")
    outcome = await post(Sender(KEYS, SystemClock(), AddressGuard(LOOPBACK), proxy=proxy), "http://127.0.0.1/")

    assert (outcome.error, outcome.kind) == (AttemptError.CONNECT, "proxy")
    assert (outcome.detail or "").startswith("the outgoing proxy: ")


@pytest.mark.parametrize("said", [b"", b"HTT", b"HTTP/1.1 200 OK\r\n"])
async def test_one_that_hangs_is_given_up_and_closed(said: bytes) -> None:
    closed = asyncio.Event()

    async def hang(line: Line) -> None:
        await line.request()
        await line.say(said)
        await line.hang()
        closed.set()

    async with connect_proxy(hang) as proxy:
        outcome = await post(through(proxy.port), "http://receiver.test/", timeout_s=0.2)
        async with asyncio.timeout(5):
            await closed.wait()

    assert (outcome.error, outcome.kind) == (AttemptError.TIMEOUT, "proxy")
    assert outcome.detail == "waited 0.2 s for the outgoing proxy to open a tunnel"
    assert len(proxy.lines) == 1


async def test_whatever_it_answers_is_the_proxys_and_nothing_is_sent() -> None:
    random = Random(7)
    pieces = [
        b"HTTP/1.1 ",
        b"200",
        b"204",
        b" OK",
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"A: b",
        b"x" * 999,
        b":",
    ]
    answers = [b"".join(random.choices(pieces, k=random.randint(0, 8))) for _ in range(150)]
    opened = [answer for answer in answers if answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1]
    said = iter(answers)

    async def answer(line: Line) -> None:
        await line.request()
        await line.say(next(said))

    async with connect_proxy(answer) as proxy:
        outcomes = [await post(through(proxy.port), "http://receiver.test/") for _ in answers]

    assert all(outcome.status is None for outcome in outcomes)
    not_the_proxys = [answer for answer, outcome in zip(answers, outcomes, strict=True) if outcome.kind != "proxy"]
    assert set(not_the_proxys) <= set(opened), "only where it opened a tunnel, and then closed it"
    assert len(proxy.lines) == len(answers)


# --- several addresses


async def test_the_next_address_where_the_proxy_does_not_reach_the_first() -> None:
    async def only_the_second(line: Line) -> None:
        head = await line.request()
        await line.say(b"HTTP/1.1 403 no\r\n\r\n" if b"CONNECT 127.0.0.2:" in head else b"HTTP/1.1 504 no\r\n\r\n")

    names = {"receiver.test": [f"127.0.0.{n}" for n in range(1, 9)]}
    async with connect_proxy(only_the_second) as proxy:
        outcome = await post(through(proxy.port, names=names), "http://receiver.test:1/")

    assert authorities(proxy) == ["127.0.0.1:1", "127.0.0.2:1"], "and no further after another refusal"
    assert outcome.detail == "the outgoing proxy: it does not allow the receiver (403)"


async def test_a_name_of_many_addresses_costs_few_tunnels() -> None:
    names = {"receiver.test": [f"127.0.0.{n}" for n in range(1, 99)]}
    async with connect_proxy(once(b"HTTP/1.1 504 no\r\n\r\n")) as proxy:
        await post(through(proxy.port, names=names), "http://receiver.test:1/")

    assert len(proxy.lines) == MAX_TUNNELS


# --- the receiver's failures stay the receiver's


async def test_a_certificate_that_is_refused_inside_the_tunnel(tmp_path: Path) -> None:
    tls = server_context(tmp_path, make_certificate(ROOT, names=("receiver.test",), ends=-timedelta(days=1)))
    async with connect_proxy() as proxy, raw_receiver(always(OK), tls=tls) as receiver:
        outcome = await post(through(proxy.port), f"https://receiver.test:{receiver.port}/")

    assert (outcome.error, outcome.kind) == (AttemptError.TLS, "tls")
    assert "its certificate expired on" in (outcome.detail or "")
    assert len(proxy.lines) == 1


@pytest.mark.parametrize(
    ("answer", "kind"), [(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n", "status"), (b"HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n", "status"), (b"", "broken")]
)  # fmt: skip
async def test_what_a_receiver_answers_inside_the_tunnel(answer: bytes, kind: str) -> None:
    async with connect_proxy() as proxy, raw_receiver(once(answer)) as receiver:
        outcome = await post(through(proxy.port), f"http://receiver.test:{receiver.port}/")

    assert outcome.kind == kind
    assert "proxy" not in (outcome.detail or "")


# --- what the proxy is shown


async def test_the_credential_is_shown_to_the_proxy_alone() -> None:
    async with connect_proxy() as proxy, raw_receiver(always(OK)) as receiver:
        outcome = await post(through(proxy.port, userinfo="us%40er:p%3Ass@"), f"http://receiver.test:{receiver.port}/")

    assert outcome.error is None
    assert b"\r\nProxy-Authorization: Basic dXNAZXI6cDpzcw==\r\n" in proxy.requests[0]
    assert b"dXNAZXI6cDpzcw" not in b"".join(receiver.requests)


async def test_a_credential_that_the_proxy_does_not_take_is_not_repeated_in_words() -> None:
    async with connect_proxy(once(b"HTTP/1.1 407 dXNlcjpwYXNz user:pass\r\n\r\n")) as proxy:
        outcome = await post(through(proxy.port, userinfo="user:pass@"), "http://receiver.test/")

    assert outcome.detail == "the outgoing proxy: it wants another user name or password (407)"


# --- what is counted


async def test_attempts_that_failed_by_the_proxy_are_counted_as_such() -> None:
    world = World(MemoryCluster(1))
    world.receivers.answer = lambda post: Outcome(
        1, None, AttemptError.CONNECT, detail="the outgoing proxy: x", by_proxy=True
    )
    before = [value_of(metrics.ATTEMPTS.labels(kind)) for kind in ("proxy", "connect")]
    async with world.running():
        world.push(plan(1, delays=(5,)))
        (failed,) = await until(lambda: world.decisions(HookAttemptFailed))
    after = [value_of(metrics.ATTEMPTS.labels(kind)) for kind in ("proxy", "connect")]

    assert (failed.event.error, failed.event.detail) == (AttemptError.CONNECT, "the outgoing proxy: x")
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0]
