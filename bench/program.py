"""What the programs of both floors share: their command line, their ports, and until when they run."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import uvloop
from aiohttp import web

from hookline.web.process_memory import spare_the_collector

__all__ = ["IN_FLIGHT", "SECRET", "Program", "ended", "listen", "run"]

SECRET = b"floor"
IN_FLIGHT = 200
"""POSTs open at once: what a dispatcher of Hookline has by default."""

Program: TypeAlias = Callable[[str, int, str], Awaitable[None]]
"""Told where Kafka is, the port to listen on, and the hook's URL; runs until SIGTERM."""


async def listen(app: web.Application, port: int) -> None:
    """Serve `app` on the port, and `/readyz` on the port + 1000."""

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    admin = web.Application()
    admin.router.add_get("/readyz", ready)
    for served, at in ((app, port), (admin, port + 1000)):
        runner = web.AppRunner(served, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", at, backlog=1024).start()


async def ended() -> None:
    """Until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()


def run(parts: Mapping[str, Program], description: str | None) -> None:
    """The part that the command line names, with the collector as Hookline's services have it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hook", default="")
    args = parser.parse_args()
    spare_the_collector()

    async def work() -> None:
        await parts[args.part](args.kafka, args.port, args.hook)

    uvloop.run(work())
