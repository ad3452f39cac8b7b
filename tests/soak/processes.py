"""What Linux says of a process: is it stopped, which files has it open, and how many may it have."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["can_open_nothing", "is_stopped", "open_files", "until_stopped"]

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


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextmanager
def can_open_nothing(pid: int) -> Iterator[None]:
    """Within it that process may have as many files and sockets open as it has now, and no more."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
