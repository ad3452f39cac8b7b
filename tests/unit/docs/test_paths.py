"""Pages name files of this project and link to one another: each of these files, and each heading that is linked to, exists."""

import re
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests/model/README.md"]
}
TOP = "bench|deploy|docs|hookline|requirements|schemas|scripts|services|tests"
NAMED = re.compile(rf"`((?:{TOP})/[\w./*{{}},-]*)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def spelled_out(path: str) -> list[str]:
    """`a/{b,c}.py` is two paths."""
    parts = [part[1:-1].split(",") if part.startswith("{") else [part] for part in re.split(r"(\{[^}]*\})", path)]
    return ["".join(chosen) for chosen in product(*parts)]


def anchors(text: str) -> set[str]:
    """Of each heading, as a forge makes it."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_it_names_exists(page: str) -> None:
    named = NAMED.findall(PAGES[page])
    missing = [path for whole, _ in named for path in spelled_out(whole) if not any(ROOT.glob(path.rstrip("/")))]
    assert missing == []
    tests = [(ROOT / path, test) for path, test in named if test]
    assert [f"{path}::{test}" for path, test in tests if f"def {test}(" not in path.read_text()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    dead = []
    for path, anchor in LINK.findall(PAGES[page]):
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            dead.append(f"{path}#{anchor}")
    assert dead == []
