"""Code blocks of README.md, so that tests run what people read."""

import re
from pathlib import Path

__all__ = ["blocks", "shell_blocks"]


def blocks(readme: Path, heading: str, language: str) -> list[str]:
    """The code blocks in that language under that heading, up to the next one of the same or a higher level."""
    text = readme.read_text()
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match, f"no heading {heading!r} in {readme.name}"
    level = len(match[1])
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    section = rest[: end.start()] if end else rest
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def shell_blocks(readme: Path, heading: str) -> list[str]:
    return blocks(readme, heading, "sh")
