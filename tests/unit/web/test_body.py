"""Bodies: inflating within a cap, reading within a cap and a time."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from hookline.errors import Unreadable
from hookline.web.body import COMPRESSED_BODIES, inflate, read_body
from hookline.web.service import app_runner

LIMIT = 1000


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZip "])
def test_gzip(encoding: str) -> None:
    assert inflate(gzip.compress(b"body", mtime=0), encoding, LIMIT) == b"body"


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
def test_up_to_the_limit(size: int) -> None:
    body = b"\x00" * size
    assert inflate(gzip.compress(body), "gzip", LIMIT) == body
    assert inflate(zlib.compress(body), "deflate", LIMIT) == body


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_none(encoding: str) -> None:
    assert inflate(b"body", encoding, LIMIT) == b"body"


def test_a_bomb_costs_no_memory() -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        inflate(bomb, "gzip", LIMIT)
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"body", "gzip"),
        (b"", "gzip"),
        (gzip.compress(b"body", mtime=0)[:-1], "gzip"),
        (gzip.compress(b"body", mtime=0) * 2, "gzip"),
        (b"body", "br"),
        (gzip.compress(b"body", mtime=0), "gzip, br"),
    ],
)
def test_what_cannot_be_inflated(body: bytes, encoding: str) -> None:
    with pytest.raises(Unreadable):
        inflate(body, encoding, LIMIT)


@asynccontextmanager
async def serving(timeout_s: float = 5) -> AsyncIterator[int]:
    """A server that answers with the body it read; its port."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await read_body(request, LIMIT, timeout_s))

    app = web.Application(client_max_size=LIMIT)
    app[COMPRESSED_BODIES] = True
    app.router.add_post("/", echo)
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def answer(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    said = await reader.read()
    writer.close()
    return said


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]).encode()


async def test_what_was_sent_is_read_even_a_broken_gzip() -> None:
    async with serving() as port:
        said = await answer(port, head("Content-Length: 4", "Content-Encoding: gzip"), b"body")
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(b"\r\n\r\nbody")


async def test_the_limit() -> None:
    async with serving() as port:
        for length, status in ((LIMIT, b"200"), (LIMIT + 1, b"413")):
            assert (await answer(port, head(f"Content-Length: {length}"), b"x" * length)).startswith(
                b"HTTP/1.1 " + status
            )
        chunk = b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n0\r\n\r\n"
        assert (await answer(port, head("Transfer-Encoding: chunked"), chunk)).startswith(b"HTTP/1.1 413")


async def test_a_body_that_does_not_come_ends_after_its_time() -> None:
    async with serving(timeout_s=0.05) as port:
        assert (await answer(port, head("Content-Length: 9"), b"x")).startswith(b"HTTP/1.1 408")
