"""Tries again what got no answer: work of an operator's command that goes on from where it stopped."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

from hookline.errors import AppendFailed, LogUnavailable, RecordRefused, Refused

__all__ = ["FINISH_S", "Patience"]

T = TypeVar("T")

FINISH_S = 60.0
"""Seconds for all steps together."""
PAUSE_S = 1.0


class Patience:
    """Until FINISH_S are over, from when it was made. tell: told what is tried again, and why."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._until = time.monotonic() + FINISH_S

    async def until(self, step: Callable[[], Coroutine[None, None, T]]) -> T:
        """What it gives. Raises what it raised last, LogUnavailable for an append without an ack."""
        while True:
            try:
                return await step()
            except (Refused, RecordRefused):
                raise
            except (LogUnavailable, AppendFailed) as error:
                if time.monotonic() >= self._until:
                    raise LogUnavailable(f"not finished within {FINISH_S:g} s: {error}") from error
                self._tell(f"no answer yet, trying again: {error}")
            await asyncio.sleep(PAUSE_S)
