"""What Linux says of a process: is it stopped, and which files may it open."""

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

__all__ = ["can_open_nothing", "is_stopped", "setting_of", "until_stopped"]

STOPPED_S = 5.0
POLL_S = 0.01


def is_stopped(pid: int) -> bool:
    """Is it in state T?"""
    try:
        # What stands in brackets is its name, which may have spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


async def until_stopped(pid: int) -> bool:
    """A signal is under way for a moment. Did it stop?"""
    deadline = time.monotonic() + STOPPED_S
    while not is_stopped(pid):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def setting_of(pid: int, name: str) -> str | None:
    """Of its environment, as it was started."""
    for setting in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if setting.startswith(f"{name}=".encode()):
            return setting.partition(b"=")[2].decode()
    return None


@contextmanager
def can_open_nothing(pid: int) -> Iterator[Callable[[], bool]]:
    """Within it that process may keep the files and sockets that it has open, and open no other. Gives: is that so now?

    It is not while one that it had before is closed; what it opens then is the last.
    """
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = _next_descriptor(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield lambda: _next_descriptor(pid) >= limit
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _next_descriptor(pid: int) -> int:
    """The one that it would get if it opened something now: the lowest that it has not open."""
    taken = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    return next(number for number in count() if number not in taken)
