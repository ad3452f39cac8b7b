"""What `hookline up` supervises: a service as a child process, and the embedded broker."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from hookline.broker import Broker
from hookline.cli.local.process import Child
from hookline.cli.local.readiness import ask_ready
from hookline.errors import ProcessFailed
from hookline.web.health import Status

__all__ = ["BrokerUnit", "ServiceUnit"]

BROKER_POLL_S = 0.2
START_ENDS_S = 1.0


class ServiceUnit:
    """`python -m services.<name>`, ready when its admin port says so."""

    def __init__(self, child: Child, session: aiohttp.ClientSession, url: str) -> None:
        self.name = child.name
        self.child = child
        self._session = session
        self._ready_url = url

    async def start(self) -> None:
        try:
            await self.child.start()
        except OSError as error:
            raise ProcessFailed(f"cannot start {self.name}: {error}") from error

    async def ready(self) -> Status:
        return await ask_ready(self._session, self._ready_url)

    async def ended(self) -> str:
        return await self.child.ended()

    def last_lines(self) -> Sequence[str]:
        return self.child.last_lines()


class BrokerUnit:
    """The embedded broker; `start` returns when it can be used, so it is ready at once.

    One thread starts it every time and lives as long as we do: the broker is tied to the life of that thread.
    """

    name = "kafka"

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker")
        self._starting: asyncio.Future[None] | None = None

    async def start(self) -> None:
        self._starting = asyncio.get_running_loop().run_in_executor(self._thread, self._broker.start)
        await asyncio.shield(self._starting)

    async def ready(self) -> Status:
        return Status(self._broker.is_alive(), "starting")

    async def ended(self) -> str:
        while self._broker.is_alive():  # noqa: ASYNC110 - it tells nobody when it dies
            await asyncio.sleep(BROKER_POLL_S)
        return "its process is gone"

    async def stop(self) -> bool:
        """Stop it, and do not start it again; a start under way ends soon. False: a start is still busy in its thread (it downloads), and nobody should wait for that."""
        await asyncio.to_thread(self._broker.stop)
        self._thread.shutdown(wait=False)
        if self._starting is None:
            return True
        done, _ = await asyncio.wait({self._starting}, timeout=START_ENDS_S)
        for start in done:
            start.exception()  # it was broken off
        return bool(done)

    def last_lines(self) -> Sequence[str]:
        return self._broker.last_log_lines()
