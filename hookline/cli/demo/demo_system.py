"""`hookline up` as a child process of the demo: on free ports, with its lines shown until it is ready."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hookline.cli.installed import SAFE_PATH
from hookline.cli.local.ports import SERVICES, free_base_port, is_free, service_port
from hookline.cli.local.process import launcher, send_signal
from hookline.errors import HooklineError
from hookline.settings import ADMIN_OFFSET, Settings

__all__ = ["DemoSystem", "UpEnded", "ports_to_use"]

STOP_S = 60.0
READY = "ready"
"""The line with which `up` says that all is up; something follows it where one service is not."""


class UpEnded(HooklineError):
    """`hookline up` ended by itself."""


def ports_to_use(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Port settings to add to the environment: another port for each default that is taken; what the user set stays."""
    own_broker = ("kafka",) if not settings.kafka_bootstrap_servers else ()
    usual = {
        name: settings.kafka_port if name == "kafka" else service_port(settings, name)
        for name in (*own_broker, *SERVICES)
    }
    claimed = {number for port in usual.values() for number in _pair(port)}
    chosen: dict[str, str] = {}
    for name, port in usual.items():
        setting = f"HOOKLINE_{name.upper()}_PORT"
        if setting not in environment and not all(is_free(settings.host, number) for number in _pair(port)):
            other = free_base_port(claimed)
            claimed |= set(_pair(other))
            chosen[setting] = str(other)
    return chosen


def _pair(port: int) -> tuple[int, int]:
    return port, port + ADMIN_OFFSET


class DemoSystem:
    """Async context: the whole system, ready; stopped at the end."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], console: Console) -> None:
        self._data_dir = data_dir
        self._environment = environment
        self._console = console
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._incomplete = False
        """Is it ready but for a service that it does without?"""

    async def __aenter__(self) -> "DemoSystem":
        self._process = await asyncio.create_subprocess_exec(
            *launcher(),
            *(sys.executable, "-m", "hookline.cli", "up", "--data", str(self._data_dir)),
            env=dict(self._environment) | SAFE_PATH,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reading = asyncio.create_task(self._show(self._process.stdout))
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({ready, self._reading}, return_when=asyncio.FIRST_COMPLETED)
            if not self._ready.is_set():
                raise UpEnded("`hookline up` ended before it was ready (see above)")
            if self._incomplete:
                raise UpEnded("`hookline up` runs without a service that the demo needs (see above)")
        except BaseException:
            await self.stop()
            raise
        finally:
            ready.cancel()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def ended(self) -> None:
        """Returns never while all is well; raises UpEnded."""
        assert self._reading is not None
        await asyncio.wait({self._reading})
        raise UpEnded("`hookline up` ended by itself (see above)")

    async def stop(self) -> None:
        """Stop it in order and wait until it is gone."""
        if self._process is None:
            return
        send_signal(self._process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            send_signal(self._process, signal.SIGKILL)
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _show(self, output: asyncio.StreamReader) -> None:
        """Its lines until `ready`; then only its warnings: the demo says the rest itself."""
        while line := await output.readline():
            text = Text.from_ansi(line.decode(errors="replace").rstrip("\n"))
            if text.plain.strip().startswith(f"{READY},"):
                self._incomplete = True
            if text.plain.strip().partition(",")[0] == READY:
                self._ready.set()
            elif not self._ready.is_set() or text.plain.startswith("!"):
                self._console.print(text)


def color_environment(console: Console) -> dict[str, str]:
    """So that `up`, which writes into our pipe, uses colours when we do."""
    if not console.is_terminal or os.environ.get("NO_COLOR"):
        return {}
    return {"FORCE_COLOR": "1", "COLUMNS": str(console.width)}
