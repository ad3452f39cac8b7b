"""Clients without a credential against an ingress in a process of its own, and one with a credential meanwhile."""

import asyncio
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.unit.ingress.conftest import BEARER

__all__ = ["UPLOAD", "Besieged", "besieged", "others_answered", "together"]

UPLOAD = 1024 * 1024
PUSH = '{"push_data":{"tag":"%d"},"repository":{"repo_name":"acme/app"}}'
PAUSE_S = 0.005
"""Between two pushes of the one with a credential: the log of the process is in its memory and keeps them all, about 2 KB each."""
SIGNED = "X-Hub-Signature-256: sha256=" + "0" * 64 + "\r\n"
WRONG = {"Authorization": aiohttp.encode_basic_auth("anyone", "wrong")}


class Besieged:
    """The process."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._status = Path(f"/proc/{pid}/status")
        self.port = port

    def memory(self, line: str = "VmRSS") -> float:
        """MB; `VmHWM`: the most there ever was."""
        found = re.search(rf"^{line}:\s+(\d+) kB$", self._status.read_text(), re.M)
        assert found
        return int(found[1]) / 1024

    async def abort(self, source: str, sent: int = UPLOAD - 1) -> None:
        """An upload that breaks off before its last byte."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(_head(source, UPLOAD) + b"x" * sent)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # it was refused

    async def dawdle(self, source: str, until: asyncio.Event) -> None:
        """An upload of which nothing comes for as long as it may take."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(_head(source, UPLOAD) + b"x")
        await until.wait()
        writer.close()

    async def guess(self, http: aiohttp.ClientSession) -> None:
        """A wrong password."""
        url = f"http://127.0.0.1:{self.port}/events/dockerhub"
        async with http.post(url, data=PUSH % 0, headers=WRONG) as answer:
            assert answer.status == 401

    async def deliver(self, http: aiohttp.ClientSession, number: int) -> float:
        """A push with a good token; the seconds until it was taken."""
        began = time.perf_counter()
        url = f"http://127.0.0.1:{self.port}/events/dockerhub"
        async with http.post(url, data=PUSH % number, headers=BEARER) as answer:
            assert answer.status == 202
        return time.perf_counter() - began


def _head(source: str, length: int) -> bytes:
    shown = SIGNED if source == "github" else f"Authorization: {WRONG['Authorization']}\r\n"
    return f"POST /events/{source} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{shown}\r\n".encode()


@asynccontextmanager
async def besieged(wrapper: Sequence[str] = ()) -> AsyncIterator[Besieged]:
    """`wrapper`: a command that runs the one behind it."""
    command = [*wrapper, sys.executable, "-m", "tests.unit.ingress.besieged"]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield Besieged(process.pid, port)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            raise


async def together(work: Iterable[Callable[[], Awaitable[None]]], at_once: int) -> None:
    """All of it, so many at once."""
    left = iter(work)

    async def one_after_the_other() -> None:
        for one in left:
            await one()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))


@asynccontextmanager
async def others_answered(ingress: Besieged, least: int = 1) -> AsyncIterator[list[float]]:
    """Deliver good pushes, one after the other, meanwhile; the seconds that each took."""
    times: list[float] = []
    over = asyncio.Event()

    async def deliver() -> None:
        async with aiohttp.ClientSession() as http:
            while not over.is_set() or len(times) < least:
                times.append(await ingress.deliver(http, len(times)))
                await asyncio.sleep(PAUSE_S)

    task = asyncio.create_task(deliver())
    try:
        yield times
    finally:
        over.set()
        await task
