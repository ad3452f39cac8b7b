"""One child process: tied to our life, in a session of its own (Ctrl-C reaches only us), its output kept in a log file."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from logging import makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from hookline.cli.local import tether

__all__ = ["Child", "how_it_ended", "launcher", "send_signal"]

LOG_BYTES = 8 * 1024 * 1024
"""A log file that grows beyond this becomes `<name>.log.1`; the one before that is dropped."""
TAIL_LINES = 20
LINE_BYTES = 256 * 1024
DRAIN_S = 1.0
_ERROR_LINE = re.compile(r'\[(error|critical)\s*\]|"level": ?"(error|critical)"')


def launcher() -> list[str]:
    """What to put before a command so that the program dies when this process does; it keeps its process id."""
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid())]


def how_it_ended(code: int) -> str:
    """An exit code in words: "exit code 1", "killed by SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


class Child:
    """A program under our care. `start` may be called again once it has ended.

    Secrets go into `environment`, never into `command`: every user of the machine can read a command line.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        on_error_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = command
        self._environment = environment
        self._on_error_line = on_error_line
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process; None when it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def last_lines(self) -> list[str]:
        """What its present or last run said last."""
        return list(self._tail)

    async def start(self) -> None:
        """Start it. Raises OSError when the machine cannot."""
        self._tail.clear()
        self._process = await asyncio.create_subprocess_exec(
            *launcher(),
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=LINE_BYTES,
        )
        assert self._process.stdout is not None
        self._reading = asyncio.create_task(self._keep_log(self._process.stdout))

    async def ended(self) -> str:
        """Wait until it is over and all it said is kept; how it ended, in words."""
        assert self._process is not None
        assert self._reading is not None
        code = await self._process.wait()
        await asyncio.wait({self._reading}, timeout=DRAIN_S)  # a grandchild may hold the pipe open
        return how_it_ended(code)

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM, and SIGKILL if it still runs after `grace_s` seconds; False when that was needed."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await process.wait()
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            send_signal(self._process, number)

    async def _keep_log(self, output: asyncio.StreamReader) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(self.log_file, maxBytes=LOG_BYTES, backupCount=1, errors="replace")
        try:
            while line := await _next_line(output):
                text = line.decode(errors="replace").rstrip()
                handler.emit(makeLogRecord({"msg": text}))
                self._tail.append(text)
                if _ERROR_LINE.search(text):
                    self._on_error_line(text)
        finally:
            handler.close()


def send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """If it still runs. Not its own `send_signal`: that reaps a process that has just ended, behind the back of asyncio,
    which then cannot tell how it ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def _next_line(output: asyncio.StreamReader) -> bytes:
    """The next line, or a part of one that is too long; b"" at the end."""
    try:
        return await output.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await output.readexactly(error.consumed)
