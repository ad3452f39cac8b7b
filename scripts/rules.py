"""`.venv/bin/python -m scripts.rules`: writes docs/rules.md, each rule that `scripts/mutants` breaks with its code and its tests."""

import re
from pathlib import Path

from tests.mutants.rules import RULES, Rule

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rules.md"
LIST = ROOT / "tests" / "mutants" / "rules.py"
HEAD = """# Rules, their code and their tests

What would go wrong, the line of code that prevents it, and the tests that fail when that line is broken.
`scripts/mutants` breaks these lines one at a time, in a copy, and shows that the tests notice; `scripts/mutants WORD` does so for the rules with that word.
The [design](design.md) says the rules themselves.
This page is made from `tests/mutants/rules.py`: run `.venv/bin/python -m scripts.rules` after a change there.
"""


def sections() -> dict[str, str]:
    """The first rule of each section of the list, as it is called there, to the section's title."""
    found = re.findall(r'^    # ---- (.+)\n    rule\(\n        "(.+)",$', LIST.read_text(), re.M)
    return {broken: title for title, broken in found}


def row(rule: Rule) -> str:
    """A line of the table: one edit is shown, the others are of the same rule."""
    edit = rule.edits[0]
    code = next(line.strip() for line in edit.old.splitlines() if line.strip())
    tests = "<br>".join(f"`{test}`" for test in rule.tests)
    return f"| {rule.broken} | `{edit.file}`<br>`{code.replace('|', chr(92) + '|')}` | {tests} |\n"


def page() -> str:
    titles, said = sections(), HEAD
    for rule in RULES:
        if title := titles.get(rule.broken):
            said += f"\n## {title[0].upper()}{title[1:]}\n\n| what goes wrong without it | code | tests that notice |\n|---|---|---|\n"
        said += row(rule)
    return said


if __name__ == "__main__":
    PAGE.write_text(page())
