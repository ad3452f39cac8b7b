"""What the command line prints with: Rich on a terminal, plain words in a pipe or a log file.

Whatever is put into a printed line goes through `plain`, so that it is neither markup nor a control character, nor a line of
its own. A test reads all of `hookline.cli` for printers that go round it.
"""

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.segment import Segment
from rich.theme import Theme

from hookline.visible import visible
from hookline.web.masking import mask_tokens

__all__ = [
    "THEME",
    "Terminal",
    "error_console",
    "make_console",
    "plain",
    "plain_hanging",
    "plain_lines",
    "plain_masked",
    "print_json",
    "print_rule",
    "shown_path",
]

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
INDENT, CARRIAGE_RETURN = "  ", "\r"
PIPE_WIDTH = 240
"""Columns where there is no terminal: wide enough that no curl line is folded."""


class Terminal(Console):
    """Rich's console, and the second fence: text that came round `plain` still has no control character but the newline."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text, lines=True), style, control)


def plain(value: object) -> str:
    """What anybody else wrote, as one line of Rich markup: shown as it is, and nothing in it does anything."""
    return escape(visible(str(value)))


def plain_masked(value: object) -> str:
    """As `plain`, without callback tokens (I11): for what comes from a log. Who is sent a token himself may see it."""
    return plain(mask_tokens(str(value)))


def plain_lines(text: str) -> str:
    """Several lines of it, each indented, so that none can be taken for a line of ours. No markup may stand behind them."""
    return "\n".join(_whole_line(INDENT + line) for line in text.split("\n"))


def plain_hanging(text: object) -> str:
    """As `plain_lines`, but for the first line, which stands behind words of ours."""
    first, *more = str(text).split("\n")
    indented = (line if line.startswith(INDENT) else INDENT + line for line in more)
    return "\n".join([_whole_line(first), *map(_whole_line, indented)])


def _whole_line(text: str) -> str:
    """`plain` doubles a backslash at the end, for what may follow it; here a newline does, and it would be seen."""
    said = plain(text.removesuffix(CARRIAGE_RETURN))
    return said[:-1] if said.endswith("\\\\") and not text.endswith("\\\\") else said


def print_json(value: object, indent: int | None = 2) -> None:
    """For machines: ASCII alone, so that it does nothing on a terminal either."""
    print(json.dumps(value, indent=indent), flush=False)


def make_console(*, stderr: bool = False) -> Console:
    """A console that never fails on a character and never folds lines in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace", line_buffering=True)
    return Terminal(
        file=stream,
        theme=THEME,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        width=None if stream.isatty() else PIPE_WIDTH,
    )


def print_rule(console: Console, title: str) -> None:
    """A line with a title, no wider than the text below it."""
    console.print(Rule(f"[bold]{plain(title)}[/]", style="quiet", align="left"), width=min(RULE_WIDTH, console.width))


def shown_path(path: Path) -> str:
    """Short where it lies below the working folder, and quoted where a shell would need it; as `plain`."""
    here = Path.cwd()
    return plain(shlex.quote(f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)))


def error_console() -> Console:
    """For what went wrong: standard error."""
    return make_console(stderr=True)
