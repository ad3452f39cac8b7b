"""The command line without a process for each command: starting Python and importing everything costs most of a second."""

import gc
import io
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from hookline.cli.main import main

__all__ = ["Done", "hookline"]


class Done(NamedTuple):
    """As `subprocess.CompletedProcess` has it."""

    returncode: int
    stdout: str
    stderr: str


def hookline(*arguments: str | Path, cwd: Path, settings: Mapping[str, str] | None = None) -> Done:
    """What `hookline ARGUMENTS` does in that folder with these settings and no others: its exit code and what it said.

    For commands that read and end; a service takes signals, and so a process of its own.
    """
    said, failed = io.StringIO(), io.StringIO()

    def run() -> int:
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return 0

    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    thresholds = gc.get_threshold()
    with (
        mock.patch.dict(os.environ, kept | dict(settings or {}), clear=True),
        mock.patch.object(sys, "argv", ["hookline", *map(str, arguments)]),
        chdir(cwd),
        redirect_stdout(said),
        redirect_stderr(failed),
        # In a thread: a test may run in an event loop, and commands make one of their own.
        ThreadPoolExecutor(1) as threads,
    ):
        code = threads.submit(run).result(60)
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    return Done(code, said.getvalue(), failed.getvalue())
