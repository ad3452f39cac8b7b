"""Waiting for what others bring about, each time with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 90.0
"""Far above what anything takes, so that a busy machine fails no test; only ever waited out by a failure."""


async def until(
    condition: Callable[[], Awaitable[T] | T],
    within_s: float = WITHIN_S,
    *,
    pause_s: float | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> T:
    """Wait until it holds; what it gave. A condition that must be asked for is asked less often than one that is looked at.

    meanwhile: done before each further look, like moving a clock on.
    """
    deadline = time.monotonic() + within_s
    while True:
        got = condition()
        is_asked = asyncio.iscoroutine(got)
        value = await got if is_asked else got
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {condition}"
        meanwhile()
        await asyncio.sleep((0.02 if is_asked else 0.002) if pause_s is None else pause_s)


def wait_until(condition: Callable[[], T], within_s: float = WITHIN_S, *, pause_s: float = 0.02) -> T:
    """The same for a test that has no loop."""
    deadline = time.monotonic() + within_s
    while not (got := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {condition}"
        time.sleep(pause_s)
    return got
