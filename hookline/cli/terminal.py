"""What the command line prints with: Rich on a terminal, plain words in a pipe or a log file."""

import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.theme import Theme

__all__ = ["error_console", "make_console", "print_rule", "shown_path"]

THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "quiet": "dim",
        "name": "bold cyan",
        "command": "default",
        "url": "underline blue",
    }
)
RULE_WIDTH = 78
PIPE_WIDTH = 240
"""Columns where there is no terminal: wide enough that no curl line is folded."""


def make_console(*, stderr: bool = False) -> Console:
    """A console that never fails on a character and never folds lines in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace", line_buffering=True)
    return Console(
        file=stream, theme=THEME, highlight=False, soft_wrap=True, width=None if stream.isatty() else PIPE_WIDTH
    )


def print_rule(console: Console, title: str) -> None:
    """A line with a title, no wider than the text below it."""
    console.print(Rule(f"[bold]{title}[/]", style="quiet", align="left"), width=min(RULE_WIDTH, console.width))


def shown_path(path: Path) -> str:
    """Short where it lies below the working folder, and quoted where a shell would need it; escaped for Rich."""
    here = Path.cwd()
    return escape(shlex.quote(f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)))


def error_console() -> Console:
    """For what went wrong: standard error."""
    return make_console(stderr=True)
