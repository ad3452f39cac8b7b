"""`python3 scripts/map.py`: writes the map in docs/architecture.md anew, a line for each folder and module, from their docstrings."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "\n### "


def modules() -> dict[str, Path]:
    """Name on the map (`folder/`, `folder/module.py`) to the file whose docstring says what it is for; folders first."""
    files = [path for top in ("hookline", "services") for path in (ROOT / top).rglob("*.py")]
    names = {
        path.parent.relative_to(ROOT).as_posix() + "/" + ("" if path.name == "__init__.py" else path.name): path
        for path in files
    }
    return dict(sorted(names.items(), key=lambda named: (named[1].parent, named[0])))


def purpose(path: Path) -> str:
    """The first sentence of its docstring, without the place in the design that it cites."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or "SAY IN THE FIRST LINE WHAT IT IS FOR"
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=\w[.)`\"])\s(?=[A-Z])", paragraph)[0]
    return re.sub(r"\s*\(design section[^()]*\)", "", sentence).rstrip(".")


def lines() -> str:
    """The part of the page below the table of what lies beside the code."""
    said = ""
    for name, path in modules().items():
        said += (
            f"{HEADING}`{name}`\n\n{purpose(path)}\n\n" if name.endswith("/") else f"- `{path.name}`: {purpose(path)}\n"
        )
    return said


def main() -> None:
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(HEADING, text.index("## The map"))] + lines())


if __name__ == "__main__":
    main()
