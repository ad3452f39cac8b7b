import asyncio
from itertools import pairwise

import pytest

from bench.failure import BenchFailed
from bench.load import Client, Receiver, at_a_pace, insist

REQUEST = b"POST /1 HTTP/1.1\r\ncontent-length: 5\r\nwebhook-id: a\r\n\r\nhello"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed


@pytest.mark.parametrize("size", [1, 7, len(REQUEST), 2 * len(REQUEST)])
def test_a_receiver_takes_requests_however_they_are_cut(size: int) -> None:
    seen: list[tuple[bytes, bytes]] = []
    receiver, wire = Receiver(lambda _, head, body: seen.append((head, body))), Wire()
    receiver.connection_made(wire)

    for at in range(0, 2 * len(REQUEST), size):
        receiver.data_received((REQUEST * 2)[at : at + size])

    assert [body for _, body in seen] == [b"hello", b"hello"]
    assert seen[0][0].startswith(b"POST /1 ")
    assert wire.written.count(b"HTTP/1.1 200 OK") == 2


async def test_a_client_gives_the_status_once_the_whole_answer_is_there() -> None:
    client, wire = Client(), Wire()
    client.connection_made(wire)
    answered = client.send(REQUEST)

    client.data_received(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{")
    assert not answered.done()
    client.data_received(b"}")

    assert answered.result() == 202
    assert wire.written == REQUEST


async def test_a_client_whose_connection_is_lost_does_not_wait_for_ever() -> None:
    client, wire = Client(), Wire()
    client.connection_made(wire)
    answered = client.send(REQUEST)
    client.connection_lost(None)
    wire.closed = True
    with pytest.raises(ConnectionResetError):
        await answered
    with pytest.raises(ConnectionResetError):
        await client.send(REQUEST)


async def test_a_pace_is_kept_whatever_becomes_of_what_is_begun() -> None:
    begun: list[tuple[int, float]] = []

    await at_a_pace(50, 5_000, lambda number, intended: begun.append((number, intended)))

    assert [number for number, _ in begun] == list(range(50))
    assert [after - before for (_, before), (_, after) in pairwise(begun)] == pytest.approx([1 / 5_000] * 49)


async def test_a_pace_ends_when_it_is_cancelled() -> None:
    begun: list[int] = []
    first = asyncio.Event()

    def begin(number: int, _: float) -> None:
        begun.append(number)
        first.set()

    pacing = asyncio.create_task(at_a_pace(1_000_000, 1, begin))
    async with asyncio.timeout(10):
        await first.wait()
        pacing.cancel()
        await asyncio.gather(pacing, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()  # waits for its thread
    assert len(begun) < 10


async def test_a_503_is_sent_again_and_counted_and_nothing_else_is() -> None:
    answers = [503, 503, 202, 503, 401]

    async def send(_: bytes) -> int:
        return answers.pop(0)

    assert await insist(send, REQUEST, 202) == 2
    with pytest.raises(BenchFailed, match="answered 401 instead of 202"):
        await insist(send, REQUEST, 202)
