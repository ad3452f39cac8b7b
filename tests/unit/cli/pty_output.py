"""What a command does to a real terminal: it runs on a pseudo-terminal, and every byte that it sends there is looked at."""

import contextlib
import io
import os
import re
import sys
import threading
import tty
from collections.abc import Callable
from unittest import mock

__all__ = ["HOSTILE", "faults_of", "on_terminal"]

MARK, FORGED = "hostile", "FORGED"
HOSTILE = (
    f"{MARK}\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\\x1b[8mhidden\x9b8m\x07"
    f"\u202egnp.exe\u2066\u200b\x00\x7f\r{FORGED} by a return\n{FORGED} by a newline\u2028{FORGED}\x85{FORGED}"
    " [bold red]markup[/] :skull: [link=http://evil.example]here[/link]"
)
"""Clears the screen, sets the title, links, hides, reverses, forges lines, and is Rich markup."""
_STYLE = re.compile(r"\x1b\[(?:[0-79]|[1-9][0-9])?(?:;[0-9]+)*m")
"""What Rich puts around text of a style; `8` alone, which hides, is not among it."""
_BAR = re.compile(r"\r?(?:\x1b\[1A)*\x1b\[2K|\x1b\[\?25[lh]")
"""How Rich draws a bar anew, and hides the cursor meanwhile."""


def on_terminal(run: Callable[[], object]) -> str:
    """All that `run` sends to its terminal, as standard output and standard error."""
    ours, its = os.openpty()
    tty.setraw(its)  # or the line discipline would add returns of its own
    said: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # EIO: its end is closed
            while some := os.read(ours, 65_536):
                said.append(some)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        with (
            io.TextIOWrapper(io.FileIO(its, "w"), encoding="utf-8", write_through=True) as stream,
            mock.patch.object(sys, "stdout", stream),
            mock.patch.object(sys, "stderr", stream),
            mock.patch.dict(os.environ, {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}),
            contextlib.suppress(SystemExit),
        ):
            run()
    finally:
        listener.join(10)
        os.close(ours)
    return b"".join(said).decode()


def faults_of(output: str) -> list[str]:
    """What it did there beside showing text in styles; also when what is hostile was not shown at all."""
    text = _STYLE.sub("", _BAR.sub("", output))
    faults = [repr(letter) for letter in sorted(set(text)) if not letter.isprintable() and letter != "\n"]
    faults += [line for line in text.split("\n") if line.startswith(FORGED)]
    faults += [] if MARK in text else ["it does not show it"]
    faults += [] if "markup[/]" in text and ":skull:" in text else ["it takes it for markup"]
    return faults
