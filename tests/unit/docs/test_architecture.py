"""The map in docs/architecture.md names every folder and module, and none that is gone."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def named() -> set[str]:
    """Folders (`### `folder/``) and modules (`- `module.py`` below one) of the map, from the project's root."""
    found, folder = set(), ""
    for line in PAGE.partition("## The map")[2].splitlines():
        if heading := re.match(r"### `(.+/)`", line):
            folder = heading[1]
            found.add(folder)
        elif module := re.match(r"- `([\w.]+\.py)`: \S", line):
            found.add(folder + module[1])
    return found


def there() -> dict[str, Path]:
    """Name in the map to the file that says what it is for."""
    modules = [path for top in ("hookline", "services") for path in (ROOT / top).rglob("*.py")]
    return {
        path.parent.relative_to(ROOT).as_posix() + "/" + ("" if path.name == "__init__.py" else path.name): path
        for path in modules
    }


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "SAY WHAT IT IS FOR").splitlines()[0]


def line_for(name: str, path: Path) -> str:
    if name.endswith("/"):
        return f"\n### `{name}`\n\n{first_line(path)}\n"
    return f"- `{path.name}`: {first_line(path)}   (below `{path.parent.relative_to(ROOT)}/`)"


def test_every_folder_and_module_is_on_the_map() -> None:
    missing = [line_for(name, path) for name, path in sorted(there().items()) if name not in named()]

    assert not missing, "add to the map in docs/architecture.md:\n" + "\n".join(missing)


def test_nothing_is_on_the_map_that_is_gone() -> None:
    gone = sorted(named() - there().keys())

    assert not gone, f"take off the map in docs/architecture.md: {', '.join(gone)}"


def test_every_path_in_the_text_exists() -> None:
    text = PAGE.partition("## The map")[0]
    paths = set(re.findall(r"`((?:hookline|services|tests|docs|schemas|deploy|scripts)/[\w./]*)`", text))

    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
