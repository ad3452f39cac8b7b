"""An HTTP CONNECT proxy over real sockets: it opens every tunnel that it is asked for, or does what a test says instead."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.unit.dispatcher.raw_receiver import Handle, Line, RawReceiver, raw_receiver

__all__ = ["OPENED", "authorities", "connect_proxy", "relay"]

OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def relay(line: Line) -> None:
    """As a proxy should: connect to what was asked for, say so, then pass on what comes, both ways."""
    host, _, port = authority(await line.request()).rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    await line.say(OPENED)
    try:
        ways = [asyncio.create_task(_pass(line.reader, writer)), asyncio.create_task(_pass(reader, line.writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
    finally:
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def authority(request: bytes) -> str:
    """What a CONNECT asks for."""
    method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
    assert method == "CONNECT"
    return target


def authorities(proxy: RawReceiver) -> list[str]:
    """What each connection to the proxy asked for, in their order."""
    return [authority(request) for request in proxy.requests]


@contextlib.asynccontextmanager
async def connect_proxy(handle: Handle = relay) -> AsyncIterator[RawReceiver]:
    """Its `lines` are the connections that it was given."""
    async with raw_receiver(handle) as proxy:
        yield proxy
