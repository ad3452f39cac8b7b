"""`python scripts/chart_readme.py`: writes the table of values in the chart's README anew, from values.yaml and its `# --` comments."""

import re
from pathlib import Path

import yaml

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "hookline"
HEADING = "\n## Values\n"


def comments(text: str) -> dict[tuple[str, ...], str]:
    """Path of keys to the `# --` comment that stands above it."""
    found: dict[tuple[str, ...], str] = {}
    path: list[tuple[int, str]] = []
    said = ""
    for line in text.splitlines():
        if comment := re.match(r"\s*# -- (.+)", line):
            said = comment[1]
        elif key := re.match(r"(\s*)([\w-]+):", line):
            path = [(indent, name) for indent, name in path if indent < len(key[1])] + [(len(key[1]), key[2])]
            if said:
                found[tuple(name for _, name in path)] = said
            said = ""
    return found


def rows(values: object, said: dict[tuple[str, ...], str], path: tuple[str, ...] = ()) -> list[str]:
    """One for each leaf. What a list or an empty map holds is its user's."""
    if isinstance(values, dict) and values and path[-1:] != ("resources",):
        return [row for key, value in values.items() for row in rows(value, said, (*path, key))]
    default = (
        "" if values == "" else f"`{yaml.safe_dump(values, default_flow_style=True, width=1000).partition(chr(10))[0]}`"
    )
    return [f"| `{'.'.join(path)}` | {default} | {said.get(path, '')} |"]


def readme() -> str:
    text = (CHART / "values.yaml").read_text()
    table = ["| value | default | meaning |", "|---|---|---|", *rows(yaml.safe_load(text), comments(text))]
    return (CHART / "README.md").read_text().partition(HEADING)[0] + HEADING + "\n" + "\n".join(table) + "\n"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())
