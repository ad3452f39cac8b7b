"""Load that is not the limit: an HTTP client and a receiver as bare asyncio protocols, with keep-alive."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import cast

__all__ = ["Client", "Receiver"]

END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


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
        self._transport.write(request)
        return self._answered

    def close(self) -> None:
        self._transport.close()

    @classmethod
    async def connect(cls, port: int) -> "Client":
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client


class Receiver(asyncio.Protocol):
    """Answers every POST 200 at once; `seen(monotonic seconds, head, body)` is told of each."""

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
    async def listen(cls, seen: Callable[[float, bytes, bytes], None]) -> tuple[asyncio.Server, int]:
        """The server and its port."""
        server = await asyncio.get_running_loop().create_server(lambda: cls(seen), "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
