"""Answers that are given before the body has come: said at once, then what still comes is read and dropped for a moment.

Closed at once instead, a client that is still sending would often see its connection break and never the answer. aiohttp
lingers, too, but goes on for all its time when the client has long gone, and holds the request until then.
"""

import asyncio

from aiohttp import web

from hookline.web.body import let_go
from hookline.web.middleware import Handler

__all__ = ["LINGER_BYTES", "LINGER_S", "linger_middleware"]

LINGER_S = 2.0
LINGER_BYTES = 2 * 1024 * 1024
"""More of one body is not waited for either."""


@web.middleware
async def linger_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost of every app (`hookline.web.service.app_runner`)."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        await _linger(request, error)
        raise
    await _linger(request, answer)
    return answer


async def _linger(request: web.Request, answer: web.StreamResponse) -> None:
    if request.content.is_eof():
        return
    try:
        await answer.prepare(request)
        await answer.write_eof()
        async with asyncio.timeout(LINGER_S):
            await _drop(request)
    except (TimeoutError, web.RequestPayloadError, ConnectionError) as error:
        let_go(error)


async def _drop(request: web.Request) -> None:
    left = LINGER_BYTES
    while left > 0 and request.transport is not None and (part := await request.content.readany()):
        left -= len(part)
