"""Shares a log's partitions among processes, so that a long log is judged in the time of one share."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from types import TracebackType
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from hookline.audit.source import Origin
from hookline.errors import HooklineError

__all__ = ["Jobs", "jobs_for"]

T = TypeVar("T")
Work: TypeAlias = Callable[[int, Callable[[T], None]], None]
"""`work(job, say)`: does the job's share (jobs count from 0), and says what it finds."""

LONG_LOG = 200_000
"""Records from which several processes are worth their start."""


def jobs_for(origin: Origin) -> int:
    """As many as there are processors and partitions to share; one for a short log."""
    return min(os.cpu_count() or 1, origin.partitions) if len(origin) >= LONG_LOG else 1


class _Failed(NamedTuple):
    """What ended a job. By kind and words: not every error can be sent as it is."""

    kind: type[HooklineError]
    said: str


class _Over(NamedTuple):
    """A job came to its end."""


class Jobs(Generic[T]):
    """A context manager. One job runs in this process; several are forked at once, before anything else was opened here."""

    def __init__(self, count: int, work: Work[T]) -> None:
        self._work = work
        self._processes: list[ForkProcess] = []
        self._ends: list[Connection] = []
        if count > 1:
            context = get_context("fork")
            for job in range(count):
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_run, args=(work, job, there), daemon=True)
                process.start()
                there.close()
                self._processes.append(process)
                self._ends.append(here)

    def __enter__(self) -> "Jobs[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def hear(self, told: Callable[[T], None]) -> None:
        """All that is said, until every job is over. Raises what ended one."""
        if not self._processes:
            self._work(0, told)
        open_ends = list(self._ends)
        while open_ends:
            for end in wait(open_ends):
                assert isinstance(end, Connection)
                try:
                    said = end.recv()
                except EOFError:
                    raise HooklineError("a process of the audit died: is there memory enough?") from None
                if isinstance(said, _Over):
                    open_ends.remove(end)
                elif isinstance(said, _Failed):
                    # Not by its own __init__, which may want what only words are left of.
                    failure = said.kind.__new__(said.kind)
                    failure.args = (said.said,)
                    raise failure
                else:
                    told(said)


def _run(work: Work[T], job: int, there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the one who waits, and that one ends us
    try:
        work(job, there.send)
        there.send(_Over())
    except HooklineError as error:
        there.send(_Failed(type(error), str(error)))
