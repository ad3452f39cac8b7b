"""A control group with a bound on memory, for a process that a test starts; version 1 or 2, wherever one can be made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CannotMake", "memory_cgroup"]

ROOT = Path("/sys/fs/cgroup")
ENDS_S = 10


class CannotMake(Exception):
    """None can be made here; the text says why."""


@contextmanager
def memory_cgroup(limit: int) -> Iterator[Path]:
    """Its folder: write a process id to `cgroup.procs` there. Gone at the end. Raises CannotMake."""
    has_v2 = "memory" in _text(ROOT / "cgroup.controllers")
    folder = (ROOT if has_v2 else ROOT / "memory") / f"hookline-test-{os.getpid()}"
    bounds = {"memory.max": limit, "memory.swap.max": 0} if has_v2 else {"memory.limit_in_bytes": limit}
    try:
        folder.mkdir()
    except OSError as error:
        raise CannotMake(f"no control group can be made here: {error.strerror}") from None
    try:
        for name, value in bounds.items():
            if name == "memory.swap.max" and not (folder / name).exists():
                continue  # a kernel without
            try:
                (folder / name).write_text(str(value))
            except OSError as error:
                raise CannotMake(f"a control group takes no {name} here: {error.strerror}") from None
        yield folder
    finally:
        folder.rmdir()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
