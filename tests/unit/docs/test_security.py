"""docs/security.md: each promise names its tests, and these exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEST = re.compile(r"`(tests/[\w/.]+)(?:::(test_\w+))?`")


def promises() -> list[str]:
    """The rows of the table, headings left out."""
    text = (ROOT / "docs" / "security.md").read_text()
    table = text[text.index("## What is promised") : text.index("## What is not promised")]
    rows = [row for row in table.splitlines() if row.startswith("|")][2:]
    return [row for row in rows if not row.startswith("| **") or TEST.search(row)]


def test_each_promise_has_a_test() -> None:
    assert len(promises()) > 30
    assert [row for row in promises() if not TEST.search(row)] == []


def test_each_test_exists() -> None:
    named = [found for row in promises() for found in TEST.findall(row)]
    assert [path for path, _ in named if not (ROOT / path).exists()] == []
    assert [
        f"{path}::{test}" for path, test in named if test and not re.search(rf"def {test}\b", (ROOT / path).read_text())
    ] == []
