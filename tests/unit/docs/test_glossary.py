"""docs/glossary.md: a word that it says is not used is in no page, docstring, help text or page of the console."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GLOSSARY = ROOT / "docs" / "glossary.md"
CELLS = re.findall(r"^\| .+ \| ([^|]+) \|$", GLOSSARY.read_text(), re.M)
UNUSED = sorted({word.strip() for cell in CELLS for word in cell.split(",")} - {"not", "---"})
PATTERN = re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, UNUSED)) + r")(?![\w-])", re.I)
DEFINED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(tree: ast.AST) -> Iterator[str]:
    """Of all that is public, and of what is assigned: a text that stands by itself behind it."""
    for node in ast.walk(tree):
        if isinstance(node, DEFINED) and not getattr(node, "name", "").startswith("_"):
            yield from (
                inner.value.value
                for inner in node.body
                if isinstance(inner, ast.Expr)
                and isinstance(inner.value, ast.Constant)
                and isinstance(inner.value.value, str)
            )


def help_texts(tree: ast.AST) -> Iterator[str]:
    """Every text in a module of the command line: what it prints, and what it says of its options."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def texts() -> Iterator[tuple[str, str]]:
    """What people read, by file."""
    for top in ("hookline", "services"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
            found = help_texts(tree) if name.startswith("hookline/cli/") else docstrings(tree)
            yield name, "\n".join(found)
        for path in sorted((ROOT / top).rglob("*.html")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        if path not in (GLOSSARY, ROOT / "CHANGELOG.md"):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


FOUND = {
    name: sorted({match.group().lower() for match in PATTERN.finditer(" ".join(text.split()))})
    for name, text in texts()
}


def test_the_glossary_names_words_that_are_not_used() -> None:
    assert len(UNUSED) > 40


def test_a_word_that_is_not_used_is_found() -> None:
    tree = ast.parse('def read() -> None:\n    """Hands\n    out records."""\n')
    assert PATTERN.search(" ".join(" ".join(docstrings(tree)).split()))


@pytest.mark.parametrize("name", FOUND)
def test_no_word_is_used_that_the_glossary_has_another_for(name: str) -> None:
    assert FOUND[name] == []
