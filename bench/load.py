"""Load that is not the limit: an HTTP client and receivers as bare asyncio protocols, with keep-alive, and a pace."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

from bench.failure import BenchFailed

__all__ = ["LOOPBACK", "SILENT_PATH", "Client", "Pool", "Receiver", "Silent", "at_a_pace", "insist"]

END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LOOPBACK = "127.0.0.1"
SILENT_PATH = "/silent"
_TO_SILENT = f"POST {SILENT_PATH}".encode()
REFUSED = 503
AGAIN_S = 0.1
MOST_REFUSALS = 100


class Client(asyncio.Protocol):
    """One connection, one request at a time. `send` gives the answer's status."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[int] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = self._data.find(END)
        if head < 0 or len(self._data) < head + len(END) + _content_length(self._data[:head]):
            return
        status, self._data = int(self._data[9:12]), b""
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError())

    def send(self, request: bytes) -> asyncio.Future[int]:
        self._answered = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answered.set_exception(ConnectionResetError("the server has closed this connection"))
        else:
            self._transport.write(request)
        return self._answered

    def close(self) -> None:
        self._transport.close()

    @classmethod
    async def connect(cls, port: int) -> "Client":
        _, client = await asyncio.get_running_loop().create_connection(cls, LOOPBACK, port)
        return client


class Pool:
    """As many connections to one port as there are requests open at once; none waits for another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Client] = []

    async def send(self, request: bytes) -> int:
        """The answer's status."""
        client = self._idle.pop() if self._idle else await Client.connect(self._port)
        status = await client.send(request)
        self._idle.append(client)
        return status

    def close(self) -> None:
        for client in self._idle:
            client.close()


class Receiver(asyncio.Protocol):
    """Answers every POST 200 at once; `seen(monotonic seconds, head, body)` is told of each. Never answers one to SILENT_PATH."""

    def __init__(self, seen: Callable[[float, bytes, bytes], None]) -> None:
        self._seen = seen
        self._data = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._data += data
        for head, body in self._requests():
            if head.startswith(_TO_SILENT):
                continue
            self._transport.write(OK)
            self._seen(now, head, body)

    def _requests(self) -> Iterator[tuple[bytes, bytes]]:
        while (end := self._data.find(END)) >= 0:
            head, start = self._data[:end], end + len(END)
            length = _content_length(head)
            if len(self._data) < start + length:
                return
            body, self._data = self._data[start : start + length], self._data[start + length :]
            yield head, body

    @classmethod
    async def listen(
        cls, seen: Callable[[float, bytes, bytes], None], host: str = LOOPBACK
    ) -> tuple[asyncio.Server, int]:
        """The server and its port."""
        server = await asyncio.get_running_loop().create_server(lambda: cls(seen), host, 0)
        return server, server.sockets[0].getsockname()[1]


class Silent(asyncio.Protocol):
    """A receiver that takes everything and never answers."""

    @classmethod
    async def listen(cls, host: str = LOOPBACK) -> tuple[asyncio.Server, int]:
        """The server and its port."""
        server = await asyncio.get_running_loop().create_server(cls, host, 0)
        return server, server.sockets[0].getsockname()[1]


async def insist(send: Callable[[bytes], Awaitable[int]], request: bytes, expected: int) -> int:
    """Send until the answer is as expected, again after a 503, as producers and receivers do; how often it was a 503.

    Raises BenchFailed for any other answer.
    """
    for refused in range(MOST_REFUSALS):
        if (status := await send(request)) == expected:
            return refused
        if status != REFUSED:
            raise BenchFailed(f"a request was answered {status} instead of {expected}")
        await asyncio.sleep(AGAIN_S)
    raise BenchFailed(f"a request was answered {REFUSED} {MOST_REFUSALS} times")


async def at_a_pace(count: int, per_s: float, begin: Callable[[int, float], None]) -> None:
    """Call `begin(number, intended time.perf_counter())` on the loop, `per_s` times a second, whatever became of the last.

    A thread keeps the time: the loop's own timers are as coarse as a millisecond.
    """
    loop, stopping = asyncio.get_running_loop(), threading.Event()
    start = time.perf_counter() + 0.05

    def keep_time() -> None:
        for number in range(count):
            intended = start + number / per_s
            if stopping.wait(max(0.0, intended - time.perf_counter())):
                return
            loop.call_soon_threadsafe(begin, number, intended)

    try:
        await asyncio.to_thread(keep_time)
    finally:
        stopping.set()


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
