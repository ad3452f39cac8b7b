"""docs/architecture.md: the map is that of the modules as they are, and the paths in the text exist."""

import re

from scripts.map import HEADING, PAGE, ROOT, lines, modules, purpose


def the_map() -> str:
    text = PAGE.read_text()
    return text[text.index(HEADING, text.index("## The map")) :]


def test_the_map_names_every_folder_and_module() -> None:
    have, want = the_map().splitlines(), lines().splitlines()
    differs = [f"- {line}" for line in have if line not in want] + [f"+ {line}" for line in want if line not in have]

    assert the_map() == lines(), (
        "run `python3 scripts/map.py`: a module was added, moved or described anew\n" + "\n".join(differs)
    )


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, path in modules().items() if purpose(path).startswith("SAY ")] == []


def test_every_path_in_the_text_exists() -> None:
    text = PAGE.read_text().partition(HEADING)[0]
    paths = set(re.findall(r"`((?:hookline|services|tests|docs|schemas|deploy|scripts)/[\w./]*)`", text))

    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
