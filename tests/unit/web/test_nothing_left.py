"""A request that ends badly leaves nothing behind that only the collector would free: services run it seldom."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from aiohttp import web

from hookline.errors import Unavailable
from hookline.web.body import read_body
from hookline.web.in_flight import REQUEST_BYTES, InFlight
from hookline.web.middleware import error_middleware, metrics_middleware
from hookline.web.service import app_runner
from tests.kit.waiting import until

LIMIT = 100_000
PART = b"x" * 60_000


class Held:
    """A gauge."""

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        self.value = value


class Server:
    """Reads bodies, and knows which requests are still held by anything."""

    def __init__(self, *, timeout_s: float, reads: bool, budget: int = 2**30) -> None:
        self._timeout_s, self._reads = timeout_s, reads
        self._requests: list[weakref.ref[web.Request]] = []
        self.held = Held()
        self.budget = InFlight(budget, self.held)
        self.port = 0

    @property
    def came(self) -> int:
        return len(self._requests)

    @property
    def left(self) -> int:
        return sum(request() is not None for request in self._requests)

    async def _answer(self, request: web.Request) -> web.Response:
        self._requests.append(weakref.ref(request))
        if not self._reads:
            return web.json_response({}, status=401)
        with self.budget.room() as room:
            return web.Response(body=await read_body(request, LIMIT, self._timeout_s, room))

    async def start(self) -> web.AppRunner:
        app = web.Application(middlewares=[metrics_middleware, error_middleware], client_max_size=LIMIT)
        app.router.add_post("/", self._answer)
        runner = app_runner(app, drain_s=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def send(port: int, *lines: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n".join([b"POST / HTTP/1.1", b"Host: x", *lines, b"", PART]))
    await writer.drain()
    return reader, writer


LENGTH = b"Content-Length: 90000"
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("reads", [True, False], ids=["read", "refused"])
@pytest.mark.parametrize("abrupt", [True, False], ids=["reset", "closed"])
async def test_an_aborted_upload(reads: bool, abrupt: bool) -> None:
    server = Server(timeout_s=60, reads=reads)
    runner = await server.start()
    for number in range(5):
        _, writer = await send(server.port, LENGTH)
        await until(lambda number=number: server.came == number + 1)  # type: ignore[misc]
        if abrupt:
            writer.transport.abort()
        writer.close()
    await until(lambda: server.left == 0)
    assert (server.came, server.held.value) == (5, 0)
    await runner.cleanup()


@pytest.mark.usefixtures("_no_collector")
async def test_a_slow_one() -> None:
    server = Server(timeout_s=0.05, reads=True)
    runner = await server.start()
    reader, writer = await send(server.port, LENGTH)
    assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await until(lambda: server.left == 0)
    assert (server.came, server.held.value) == (1, 0)
    await runner.cleanup()


@pytest.mark.usefixtures("_no_collector")
async def test_one_that_is_too_long() -> None:
    server = Server(timeout_s=60, reads=True)
    runner = await server.start()
    reader, writer = await send(server.port, CHUNKED, b"", b"%x" % (2 * LIMIT), PART)
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
    await until(lambda: server.left == 0)
    assert (server.came, server.held.value) == (1, 0)
    await runner.cleanup()


@pytest.mark.usefixtures("_no_collector")
async def test_one_that_is_given_up_for_others() -> None:
    """The oldest goes, whoever comes later is read."""
    size = REQUEST_BYTES + len(PART)
    server = Server(timeout_s=60, reads=True, budget=2 * size + REQUEST_BYTES)
    runner = await server.start()
    connections = []
    for number in range(3):
        connections.append(await send(server.port, LENGTH))
        await until(lambda number=number: server.held.value >= min(number + 1, 2) * size)  # type: ignore[misc]
    given_up, _ = connections[0]
    head = await given_up.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"\r\nRetry-After: 1\r\n" in head
    await until(lambda: server.held.value == 2 * size)
    for reader, writer in connections[1:]:
        writer.write(b"x" * (90_000 - len(PART)))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    for _, writer in connections:
        writer.close()
    await until(lambda: server.left == 0)
    assert (server.came, server.held.value) == (3, 0)
    await runner.cleanup()


def test_what_is_more_than_there_is_room_for_is_given_up_itself() -> None:
    held = Held()
    budget = InFlight(REQUEST_BYTES + 10, held)
    with budget.room() as room:
        room.take(10)
        assert held.value == REQUEST_BYTES + 10
        with pytest.raises(Unavailable), budget.room():
            pytest.fail("there is no room for its request")
        room.take(0)
        with pytest.raises(Unavailable):
            room.take(1)
    assert held.value == 0


@pytest.mark.usefixtures("_no_collector")
async def test_a_refused_client_hears_so_before_it_has_sent_its_body() -> None:
    server = Server(timeout_s=60, reads=False)
    runner = await server.start()
    reader, writer = await send(server.port, LENGTH)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
    # The rest is read, so that the connection is good for the next.
    writer.write(b"x" * (90_000 - len(PART)))
    assert await reader.readexactly(2) == b"{}"
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    await until(lambda: server.left == 0)
    assert server.came == 2
    await runner.cleanup()
