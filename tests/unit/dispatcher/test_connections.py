"""Kept connections: used again only where that is safe, and never the reason why an attempt fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hookline.chain.events import AttemptError
from hookline.clock import SystemClock
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.kept_connections import IDLE_S
from services.dispatcher.sender import HookPost, Sender
from tests.kit.waiting import until
from tests.unit.dispatcher.raw_receiver import OK, Line, always, raw_receiver
from tests.unit.dispatcher.test_sender import KEYS, LOOPBACK, a_post


class Monotonic:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
async def sender(monotonic: Monotonic) -> AsyncIterator[Sender]:
    made = Sender(KEYS, SystemClock(), AddressGuard(LOOPBACK), places=2, monotonic=monotonic)
    yield made
    await made.close()


def retry(url: str) -> HookPost:
    return a_post(url)._replace(is_retry=True)


async def test_a_connection_is_used_again(sender: Sender) -> None:
    async with raw_receiver(always(OK)) as receiver:
        for _ in range(3):
            assert (await sender.post(a_post(receiver.url))).error is None
    assert [len(line.requests) for line in receiver.lines] == [3]


async def test_a_retry_begins_on_a_new_connection(sender: Sender) -> None:
    async with raw_receiver(always(OK)) as receiver:
        await sender.post(a_post(receiver.url))
        await sender.post(retry(receiver.url))
        assert [len(line.requests) for line in receiver.lines] == [1, 1]


@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_what_a_used_connection_ends_without_an_answer_is_sent_again_at_once(sender: Sender, how: str) -> None:
    """The same attempt: one outcome, one webhook-id, two requests (case C3)."""

    async def first_only(line: Line) -> None:
        await line.request()
        await line.say(OK)
        if line.number == 0:
            await line.request()
            if how == "resets":
                line.writer.transport.abort()
        else:
            await line.hang()

    async with raw_receiver(first_only) as receiver:
        await sender.post(a_post(receiver.url))
        outcome = await sender.post(a_post(receiver.url))
    assert (outcome.status, outcome.error) == (200, None)
    assert [len(line.requests) for line in receiver.lines] == [2, 1]
    ids = {line.strip() for request in receiver.requests for line in request.split(b"\r\n") if b"webhook-id" in line}
    assert ids == {b"webhook-id: chain-1"}


async def test_a_new_connection_that_ends_without_an_answer_is_a_failed_attempt(sender: Sender) -> None:
    async def close(line: Line) -> None:
        await line.request()

    async with raw_receiver(close) as receiver:
        outcome = await sender.post(a_post(receiver.url))
        assert outcome.error is AttemptError.BROKEN
        assert (outcome.detail or "").startswith("the connection was closed before any answer came")
        assert len(receiver.requests) == 1, "sent once: who knows what a new connection did"


async def test_a_used_connection_that_gave_a_byte_of_an_answer_is_not_tried_again(sender: Sender) -> None:
    async def half(line: Line) -> None:
        await line.request()
        await line.say(OK)
        await line.request()
        await line.say(b"HTTP/1.1 2")

    async with raw_receiver(half) as receiver:
        await sender.post(a_post(receiver.url))
        outcome = await sender.post(a_post(receiver.url))
        assert (outcome.error, outcome.detail) == (AttemptError.BROKEN, "its answer was cut short")
        assert len(receiver.lines) == 1


@pytest.mark.parametrize(
    ("header", "waits_s", "connections"),
    [(b"", IDLE_S - 1, 1), (b"", IDLE_S + 1, 2), (b"Keep-Alive: timeout=5\r\n", 3, 1), (b"Keep-Alive: timeout=5\r\n", 4.5, 2),
     (b"Keep-Alive: timeout=1\r\n", 0, 2), (b"Keep-Alive: timeout=999999\r\n", IDLE_S + 1, 2), (b"Keep-Alive: x\r\n", 1, 1)],
)  # fmt: skip
async def test_a_connection_is_kept_as_long_as_its_receiver_says(
    sender: Sender, monotonic: Monotonic, header: bytes, waits_s: float, connections: int
) -> None:
    async with raw_receiver(always(b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 0\r\n\r\n")) as receiver:
        await sender.post(a_post(receiver.url))
        monotonic.now_s += waits_s
        await sender.post(a_post(receiver.url))
        assert len(receiver.lines) == connections


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK + b"HTTP/1.1 500 No\r\n\r\n"])  # fmt: skip
async def test_after_anything_odd_a_connection_is_closed(sender: Sender, answer: bytes) -> None:
    async with raw_receiver(always(answer)) as receiver:
        for _ in range(2):
            assert (await sender.post(a_post(receiver.url))).error is None
        assert len(receiver.lines) == 2


async def test_bytes_that_nobody_asked_for_are_no_answer_to_the_next_hook(sender: Sender) -> None:
    said = asyncio.Event()

    async def chatty(line: Line) -> None:
        await line.request()
        await line.say(OK)
        if line.number == 0:
            await said.wait()
            await line.say(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        await line.hang()

    async with raw_receiver(chatty) as receiver:
        await sender.post(a_post(receiver.url))
        said.set()
        await until(lambda: receiver.lines[0].reader.at_eof())
        assert (await sender.post(a_post(receiver.url))).status == 200
        assert len(receiver.lines) == 2


async def test_more_idle_connections_than_places_are_not_kept(sender: Sender) -> None:
    async with raw_receiver(always(OK)) as a, raw_receiver(always(OK)) as b, raw_receiver(always(OK)) as c:
        for receiver in (a, b, c):
            await sender.post(a_post(receiver.url))
        await until(lambda: a.lines[0].reader.at_eof())
        for receiver in (b, c):
            await sender.post(a_post(receiver.url))
        assert [len(receiver.lines) for receiver in (a, b, c)] == [1, 1, 1]


async def test_an_answer_that_drips_keeps_what_came(sender: Sender) -> None:
    """Whatever its status, and the status counts (case K4)."""

    async def drip(line: Line) -> None:
        request = await line.request()
        status = b"200 OK" if b"/good" in request else b"500 Oops"
        await line.say(b"HTTP/1.1 " + status + b"\r\nContent-Length: 1000\r\n\r\nbecause")
        await line.hang()

    async with raw_receiver(drip) as receiver:
        good = await sender.post(a_post(f"http://127.0.0.1:{receiver.port}/good", timeout_s=0.2))
        bad = await sender.post(a_post(receiver.url, timeout_s=0.2))
    assert (good.status, good.error, good.answer) == (200, None, "because")
    assert (bad.status, bad.error, bad.answer) == (500, AttemptError.STATUS, "because")


async def test_the_target_goes_out_byte_for_byte(sender: Sender) -> None:
    """Case C9: a receiver compares it with what it issued."""
    target = "/hooks/a%3Ab;v=1//../x?sp=%2Frun%2Fmanual&sv=1.0&sig=a%2Bb+c%20d&&=?/:@!$'()*,"
    async with raw_receiver(always(OK)) as receiver:
        await sender.post(a_post(f"http://127.0.0.1:{receiver.port}{target}"))
        assert receiver.requests[0].split(b" ")[1] == target.encode()


async def test_an_address_that_cannot_be_called_is_a_failed_attempt_with_words(sender: Sender) -> None:
    """Plans that an earlier version saved are in the log (security case F2)."""
    for url in (
        "http://xn--a/",
        "http://a..b/",
        "ftp://h/",
        "http://h:99999/",
        "http://[::1",
        "\ud800",
        "",
        "http://a b/",
    ):
        outcome = await sender.post(a_post(url))
        assert outcome.error is AttemptError.BROKEN
        assert outcome.detail is not None
        assert outcome.detail.startswith("its URL cannot be called: ")
