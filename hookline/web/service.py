"""Runs one service as a process: settings, logging, uvloop, public and admin HTTP, signals, graceful stop."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
import uvloop
from aiohttp import web

from hookline.clock import Clock, SystemClock
from hookline.errors import ConfigError, HooklineError
from hookline.settings import ADMIN_OFFSET, Settings, load_settings
from hookline.visible import visible
from hookline.web.body import COMPRESSED_BODIES
from hookline.web.door import DoorRunner
from hookline.web.health import Status, admin_app
from hookline.web.linger import linger_middleware
from hookline.web.logging import configure_logging
from hookline.web.process_memory import give_back, spare_the_collector

__all__ = ["Service", "app_runner", "run", "serve"]

log = structlog.get_logger()

DRAIN_S = 20.0
"""Seconds that requests under way get on SIGTERM; above the longest answer of any service."""
KEEPALIVE_S = 75.0
READ_BUFFER = 32 * 1024
"""Bytes of a body that wait for a handler which does not read them; about twice that is where reading stops."""
READY_LOOK_S = 1.0
"""Between two looks at whether the service has become ready."""
LINGER_S = 1.0
"""Seconds that connections get on SIGTERM to be used once more: their next answer says that it was the last. Closed between
two requests, a client that sends the second just then would see it fail."""
LINGER_POLL_S = 0.02
EXIT_FAILED = 1
EXIT_CONFIG = 2


class Service(Protocol):
    """What a composition root (`services/<name>/__main__.py`) builds."""

    @property
    def name(self) -> str: ...

    @property
    def app(self) -> web.Application | None:
        """Public HTTP; None for a service without."""

    async def start(self) -> None:
        """Begin work. Kafka away is no error here: become ready when it comes. Raises TopicsUnfit, ConfigError."""

    async def wait(self) -> None:
        """Never returns while all is well; raises what must end the process."""

    def ready(self) -> Status: ...

    def live(self) -> Status: ...

    async def stop(self) -> None:
        """Finish or park what is under way, then close. Called once, after HTTP has drained."""


@dataclass(frozen=True)
class _Address:
    host: str
    port: int


def run(build: Callable[[Settings, Clock], Service], port: Callable[[Settings], int]) -> None:
    """The main of a service. Exit code 2 for a wrong setting, 1 for anything else that ends it, 0 after SIGTERM."""
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
        service = build(settings, SystemClock(settings.clock_skew_ms))
        spare_the_collector()
        uvloop.run(serve(service, settings.host, port(settings)))
    except ConfigError as error:
        sys.exit(_say(f"{error}", EXIT_CONFIG))
    except HooklineError as error:
        sys.exit(_say(f"{type(error).__name__}: {error}", EXIT_FAILED))
    except OSError as error:
        sys.exit(_say(f"{error}", EXIT_FAILED))


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"hookline: {visible(text, lines=True)}\n")
    return code


async def serve(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, or until the service raises. Raises OSError when a port is taken."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    def ready() -> Status:
        return Status(False, "draining") if stopping.is_set() else service.ready()

    admin = await _listen(admin_app(ready, service.live), _Address(host, port + ADMIN_OFFSET), drain_s=1)
    public = None
    try:
        await service.start()
        if service.app is not None:
            service.app.on_response_prepare.append(_closing_when(stopping))
            public = await _listen(service.app, _Address(host, port), drain_s=DRAIN_S)
        log.info("started", service=service.name, port=port)
        await _until(stopping, service)
    finally:
        stopping.set()
        if public is not None:
            await _linger(public)
            await public.cleanup()  # closes the listening socket, lets requests under way end
        await service.stop()
        await admin.cleanup()
        log.info("stopped", service=service.name)


def _closing_when(stopping: asyncio.Event) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """From SIGTERM on each answer is the last on its connection, and says so."""

    async def close(_: web.Request, answer: web.StreamResponse) -> None:
        if stopping.is_set():
            answer.headers["Connection"] = "close"
            answer.force_close()

    return close


async def _linger(public: web.AppRunner) -> None:
    """Still answering, until no connection is left or LINGER_S are over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while public.server is not None and public.server.connections:  # noqa: ASYNC110 - aiohttp tells nobody
                await asyncio.sleep(LINGER_POLL_S)


async def _until(stopping: asyncio.Event, service: Service) -> None:
    giving_back = asyncio.create_task(_give_back_when_ready(service))
    waits = {asyncio.create_task(stopping.wait()), asyncio.create_task(service.wait())}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in (*pending, giving_back):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()


async def _give_back_when_ready(service: Service) -> None:
    """Give memory back each time that the service has become ready: it has read what it restores from."""
    was_ready = False
    while True:
        is_ready = service.ready().ok
        if is_ready and not was_ready:
            give_back()
        was_ready = is_ready
        await asyncio.sleep(READY_LOOK_S)


async def _listen(app: web.Application, address: _Address, *, drain_s: float) -> web.AppRunner:
    runner = app_runner(app, drain_s=drain_s)
    await runner.setup()
    await web.TCPSite(runner, address.host, address.port, backlog=1024).start()
    return runner


def app_runner(app: web.Application, *, drain_s: float = DRAIN_S) -> web.AppRunner:
    """How every app is served, in tests too."""
    if linger_middleware not in app.middlewares:
        app.middlewares.insert(0, linger_middleware)
    return DoorRunner(
        app,
        access_log=None,
        shutdown_timeout=drain_s,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=0,  # `hookline.web.linger` does it
        read_bufsize=READ_BUFFER,
        auto_decompress=not app.get(COMPRESSED_BODIES, False),
    )
