"""SIGTERM as clients see it: who keeps a connection open is told that an answer was the last, before anything is closed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from hookline.web.health import Status
from hookline.web.service import serve
from tests.kafka import free_broker_port

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hello:
    """A service that says when its HTTP has ended."""

    name = "hello"

    def __init__(self) -> None:
        self.app = web.Application()
        self.app.router.add_get("/", self._answer)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked.set()
        await self.may_answer.wait()
        return web.Response(text="hello")

    async def start(self) -> None: ...

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def ready(self) -> Status:
        return Status(True, "")

    def live(self) -> Status:
        return Status(True, "")

    async def stop(self) -> None: ...


@asynccontextmanager
async def serving(service: Hello) -> AsyncIterator[int]:
    """Its port; it must end by itself once SIGTERM was sent."""
    port = free_broker_port()
    task = asyncio.create_task(serve(service, "127.0.0.1", port))
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/"):
                    break
            except aiohttp.ClientConnectionError:
                assert not task.done()
                await asyncio.sleep(0.01)
    try:
        yield port
        await asyncio.wait_for(task, 20)
    finally:
        task.cancel()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(b"hello"))
    return head


@pytest.mark.parametrize("open_at_sigterm", [False, True], ids=["between two requests", "in the middle of one"])
async def test_a_connection_ends_with_an_answer_that_says_so(open_at_sigterm: bool) -> None:
    service = Hello()
    async with serving(service) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert b"Connection: close" not in await answer(reader)
        if open_at_sigterm:
            service.may_answer.clear()
            service.asked.clear()
            writer.write(REQUEST)
            await service.asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await draining(port)
        if not open_at_sigterm:
            writer.write(REQUEST)
        service.may_answer.set()
        assert b"Connection: close" in await answer(reader)
        assert await reader.read() == b""
        writer.close()


async def test_a_connection_that_nobody_uses_holds_nothing_up() -> None:
    async with serving(Hello()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await reader.read() == b""
        writer.close()


async def draining(port: int) -> None:
    """Until readiness says that no more should come."""
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"http://127.0.0.1:{port + 1000}/readyz") as said:
                if said.status == 503:
                    assert (await said.json())["detail"] == "draining"
                    return
