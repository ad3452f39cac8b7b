"""Lines typed at the terminal, awaited: Ctrl-C still works while nobody has answered."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable

__all__ = ["TypedLines"]


class TypedLines:
    """Lines from standard input, read by a thread that nobody has to wait for at the end.

    `input()` in an executor would hold up the exit until Enter is pressed, and a non-blocking standard input would
    make standard output non-blocking too where both are the same terminal.
    """

    def __init__(self, read: Callable[[], bytes] = lambda: os.read(0, 4096)) -> None:
        self._read = read
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._started = False

    async def next(self) -> str | None:
        """The next line without its end; None when there will be no more."""
        if not self._started:
            self._started = True
            threading.Thread(
                target=self._pump, args=(asyncio.get_running_loop(),), name="keyboard", daemon=True
            ).start()
        return await self._lines.get()

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        rest = b""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            while data := self._read():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(self._lines.put_nowait, line.decode(errors="replace").strip())
            loop.call_soon_threadsafe(self._lines.put_nowait, None)
