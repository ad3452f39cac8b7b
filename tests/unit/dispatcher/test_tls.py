"""Why there was no secure connection: each cause reads differently, and what a certificate says is bounded (cases C17, C18, C21)."""

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop

from hookline.chain.events import AttemptError
from hookline.clock import SystemClock
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.certificates import CertificateRefused, client_context, refusal_words
from services.dispatcher.dialer import Dialer
from services.dispatcher.resolver import Resolver
from services.dispatcher.sender import Outcome, Sender
from tests.unit.dispatcher.certificate_maker import Signed, make_authority, make_certificate, pem, server_context
from tests.unit.dispatcher.raw_receiver import OK, always, once, raw_receiver
from tests.unit.dispatcher.test_sender import KEYS, LOOPBACK, a_post

ROOT = make_authority("Root")
BETWEEN = make_authority("Between", ROOT)
OTHER = make_authority("Other\n\x1b[2J")
A_DAY = timedelta(days=1)


def trusting(authority: Signed) -> Sender:
    context, guard = client_context(), AddressGuard(LOOPBACK)
    context.load_verify_locations(cadata=pem(authority).decode())
    return Sender(KEYS, SystemClock(), guard, dial=Dialer(Resolver(4, lambda host: ["127.0.0.1"]), guard, context))


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    made = trusting(ROOT)
    yield made
    await made.close()


async def post_to(sender: Sender, tls: ssl.SSLContext, host: str = "localhost") -> Outcome:
    async with raw_receiver(always(OK), tls=tls) as receiver:
        return await sender.post(a_post(f"https://{host}:{receiver.port}/"))


EXPIRED = make_certificate(BETWEEN, ends=-A_DAY)
CAUSES: dict[str, tuple[Callable[[], tuple[Signed, ...]], str]] = {
    "expired": (lambda: (EXPIRED, BETWEEN), f"its certificate expired on {datetime.now(UTC) - A_DAY:%Y-%m-%d}"),
    "not yet": (lambda: (make_certificate(BETWEEN, begins=A_DAY), BETWEEN), f"its certificate is not valid before {datetime.now(UTC) + A_DAY:%Y-%m-%d}"),
    "another name": (
        lambda: (make_certificate(BETWEEN, names=("a.example", "b.example", "c.example", "d.example")), BETWEEN),
        "its certificate is not for localhost but for a.example, b.example, c.example and 1 more",
    ),
    "self-signed": (lambda: (make_certificate(None),), "its certificate is self-signed"),
    "unknown authority": (lambda: (make_certificate(OTHER), OTHER), 'signed by an authority that is not trusted here "Other??[2J"'),
    "no intermediate": (lambda: (make_certificate(BETWEEN),), 'sent no certificate of the issuer "Between", which is not known here: an intermediate'),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
async def test_each_cause_reads_differently(sender: Sender, tmp_path: Path, cause: str) -> None:
    chain, said = CAUSES[cause]
    outcome = await post_to(sender, server_context(tmp_path, *chain()))
    assert outcome.error is AttemptError.TLS
    assert said in (outcome.detail or "")
    others = [words for name, (_, words) in CAUSES.items() if name != cause]
    assert not any(words in (outcome.detail or "") for words in others)


def test_under_uvloop_too(tmp_path: Path) -> None:
    async def post() -> Outcome:
        return await post_to(trusting(ROOT), server_context(tmp_path, EXPIRED, BETWEEN))

    outcome = uvloop.run(post())
    assert (outcome.error, "expired on" in (outcome.detail or "")) == (AttemptError.TLS, True)


async def test_a_good_certificate_is_taken_and_its_connection_kept(sender: Sender, tmp_path: Path) -> None:
    tls = server_context(tmp_path, make_certificate(BETWEEN), BETWEEN)
    async with raw_receiver(always(OK), tls=tls) as receiver:
        for _ in range(2):
            assert (await sender.post(a_post(f"https://localhost:{receiver.port}/"))).error is None
        assert len(receiver.lines) == 1


async def test_a_last_dot_of_a_name_is_no_part_of_its_certificate(sender: Sender, tmp_path: Path) -> None:
    tls = server_context(tmp_path, make_certificate(BETWEEN), BETWEEN)
    assert (await post_to(sender, tls, "localhost.")).error is None


async def test_plain_http_to_a_tls_port(sender: Sender, tmp_path: Path) -> None:
    async with raw_receiver(always(OK), tls=server_context(tmp_path, make_certificate(BETWEEN), BETWEEN)) as receiver:
        outcome = await sender.post(a_post(f"http://127.0.0.1:{receiver.port}/"))
    assert outcome.error is AttemptError.BROKEN
    assert "if its receiver speaks TLS on this port, the URL must begin with https://" in (outcome.detail or "")


async def test_a_tls_alert_as_an_answer_names_https(sender: Sender) -> None:
    """What OpenSSL, Go and Java send back to plain HTTP."""
    async with raw_receiver(once(b"\x15\x03\x01\x00\x02\x02\x46")) as receiver:
        outcome = await sender.post(a_post(receiver.url))
    assert (outcome.error, outcome.detail) == (
        AttemptError.BROKEN, "its receiver speaks TLS on this port: should the URL begin with https://?"
    )  # fmt: skip


async def test_tls_to_a_plain_http_port_names_http(sender: Sender) -> None:
    async with raw_receiver(once(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as receiver:

        async def answer(line: object) -> None:
            await receiver.lines[-1].reader.read(100)
            await receiver.lines[-1].say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        receiver.handle = answer
        outcome = await sender.post(a_post(f"https://localhost:{receiver.port}/"))
    assert outcome.error is AttemptError.TLS
    assert "should the URL begin with http://?" in (outcome.detail or "")


async def test_a_handshake_that_hangs_or_ends(sender: Sender) -> None:
    async with raw_receiver(lambda line: line.hang()) as receiver:
        outcome = await sender.post(a_post(f"https://localhost:{receiver.port}/", timeout_s=0.2))
    assert (outcome.error, outcome.detail) == (AttemptError.TIMEOUT, "waited 0.2 s for the TLS handshake")

    async def close(line: object) -> None: ...

    async with raw_receiver(close) as receiver:
        outcome = await sender.post(a_post(f"https://localhost:{receiver.port}/"))
    assert (outcome.error, outcome.detail) == (AttemptError.TLS, "the connection ended during the handshake")


@pytest.mark.parametrize("code", range(100))
def test_every_code_of_openssl_has_words_whatever_was_sent(code: int) -> None:
    for chain in ((), (b"",), (b"\x30\x80garbage",), (b"", b"")):
        refused = CertificateRefused(1, "refused")
        refused.code, refused.chain = code, chain
        words = refusal_words(refused, "h")
        assert words.startswith(("its ", "a certificate"))
        assert len(words) < 300


def test_the_inner_names_that_are_used_are_there() -> None:
    """Before Python 3.13 there is no public way to a chain that was refused (services/dispatcher/certificates.py)."""
    made = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="h")
    assert hasattr(made, "get_unverified_chain") or hasattr(made._sslobj, "get_unverified_chain")  # type: ignore[attr-defined]  # noqa: SLF001
