"""Bodies of requests: read within a cap and a time, inflated within a cap (a bomb costs no memory)."""

import asyncio
import codecs
import contextlib
import zlib

from aiohttp import web

from hookline.errors import Unreadable
from hookline.web.in_flight import Room

__all__ = ["COMPRESSED_BODIES", "inflate", "let_go", "read_body", "without_bom"]

COMPRESSED_BODIES = web.AppKey("compressed_bodies", bool)
"""True on an app whose handlers call `inflate` themselves: what `read_body` gives is then what was sent, even a broken gzip."""

READ_S = 30.0
AUTO_HEADER = 32 + zlib.MAX_WBITS
"""gzip or zlib, whatever the data begins with."""


async def read_body(request: web.Request, limit: int, timeout_s: float = READ_S, room: Room | None = None) -> bytes:
    """The body, of at most `limit` bytes; to be read once. `room`: what its bytes are counted in as they come.

    Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout after `timeout_s`, HTTPBadRequest when it does not come whole,
    Unavailable when it was given up for others. Whatever it raises, nothing holds what came.
    """
    if request.content_length is not None and request.content_length > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length)
    is_late = False
    try:
        if request.content.is_eof():  # it has all come: nothing to wait for
            return await _gather(request, limit, room)
        async with asyncio.timeout(timeout_s) as until:
            with room.coming(until) if room is not None else contextlib.nullcontext():
                return await _gather(request, limit, room)
    except TimeoutError as error:
        let_go(error)
        is_late = True
    except (web.RequestPayloadError, ConnectionError) as error:
        let_go(error)
    # Not within `except`, and not a variable: an error must not hold its frames, nor they the error.
    if room is not None:
        room.check()
    if is_late:
        raise web.HTTPRequestTimeout
    raise web.HTTPBadRequest(reason="The body is incomplete")


async def _gather(request: web.Request, limit: int, room: Room | None) -> bytes:
    """Raises ConnectionError, RequestPayloadError, HTTPRequestEntityTooLarge, Unavailable."""
    parts: list[bytes] = []
    size = 0
    if request.transport is None and not request.content.is_eof():
        raise ConnectionResetError
    while part := await request.content.readany():
        size += len(part)
        if size > limit:
            raise web.HTTPRequestEntityTooLarge(limit, size)
        if room is not None:
            room.take(len(part))
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def let_go(error: BaseException) -> None:
    """Forget where an error was raised. aiohttp's stream keeps the error that ended it, the error its frames, and these the
    stream and all that was read of it: a ring that only the collector would free, and it comes seldom (`hookline.web.process_memory`)."""
    at: BaseException | None = error
    while at is not None:
        at.__traceback__ = None
        at = at.__cause__ or at.__context__


def without_bom(text: bytes) -> bytes:
    """JSON as it should have come: without the UTF-8 byte order mark that PowerShell and .NET put before it.

    Nobody may send one, and a reader may ignore it (RFC 8259, 8.1): all that is read as JSON from outside goes through here.
    """
    return text.removeprefix(codecs.BOM_UTF8)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding. Raises Unreadable, and HTTPRequestEntityTooLarge above `limit` bytes."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip" | "deflate":
            return _inflate(body, limit)
        case _:
            raise Unreadable("a Content-Encoding other than gzip and deflate")


def _inflate(body: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(AUTO_HEADER)
    try:
        whole = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Unreadable(f"not compressed as its Content-Encoding says: {error}") from None
    if len(whole) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, len(whole))
    if not stream.eof or stream.unused_data:
        raise Unreadable("compressed, but cut off or with trailing data")
    return whole
