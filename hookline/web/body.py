"""Bodies of requests: read within a cap and a time, inflated within a cap (a bomb costs no memory)."""

import asyncio
import codecs
import zlib

from aiohttp import web

from hookline.errors import Unreadable

__all__ = ["COMPRESSED_BODIES", "inflate", "read_body", "without_bom"]

COMPRESSED_BODIES = web.AppKey("compressed_bodies", bool)
"""True on an app whose handlers call `inflate` themselves: what `read_body` gives is then what was sent, even a broken gzip."""

READ_S = 30.0
AUTO_HEADER = 32 + zlib.MAX_WBITS
"""gzip or zlib, whatever the data begins with."""


async def read_body(request: web.Request, limit: int, timeout_s: float = READ_S) -> bytes:
    """The body, of at most `limit` bytes (the app's `client_max_size` must not be lower).

    Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout after `timeout_s`, HTTPBadRequest when it does not come whole.
    """
    if request.content_length is not None and request.content_length > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length)
    try:
        if request.content.is_eof():  # it has all come: nothing to wait for
            body = await request.read()
        else:
            async with asyncio.timeout(timeout_s):
                body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError):
        raise web.HTTPBadRequest(reason="The body did not come whole") from None
    if len(body) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return body


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
        raise Unreadable("compressed, but cut off or with something behind its end")
    return whole
