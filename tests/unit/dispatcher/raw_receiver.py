"""A receiver that says the bytes that a test gives it, and keeps what it was sent, connection by connection."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["OK", "Line", "RawReceiver", "raw_receiver"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Line:
    """One connection: `number` from 0, and what came over it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """The next request, head and body. Raises asyncio.IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
        self.requests.append(head + await self.reader.readexactly(length))
        return self.requests[-1]

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hang(self) -> None:
        """Until the other side closes."""
        while await self.reader.read(65_536):
            pass


Handle = Callable[[Line], Awaitable[None]]


class RawReceiver:
    """`handle` is called with each connection, and the connection closed when it returns."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.lines: list[Line] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def requests(self) -> list[bytes]:
        return [request for line in self.lines for request in line.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(len(self.lines), reader, writer)
        self.lines.append(line)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.handle(line)
        writer.close()


def always(answer: bytes) -> Handle:
    """To each request the same bytes; then the connection stays open."""

    async def handle(line: Line) -> None:
        while await line.request():
            await line.say(answer)

    return handle


def once(answer: bytes) -> Handle:
    """To the first request; then the connection is closed."""

    async def handle(line: Line) -> None:
        await line.request()
        await line.say(answer)

    return handle


@contextlib.asynccontextmanager
async def raw_receiver(
    handle: Handle, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawReceiver]:
    receiver = RawReceiver(handle)
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls, limit=2**20)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for line in receiver.lines:
            line.writer.close()
