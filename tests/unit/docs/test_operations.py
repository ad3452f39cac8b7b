"""docs/operations.md against the chart and the command line: every alert has its row, every command is one."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from hookline.cli.main import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()
ALERTS = yaml.safe_load((ROOT / "deploy" / "helm" / "hookline" / "files" / "alerts.yaml").read_text())
COMMANDS = sorted(
    set(re.findall(r"hookline ((?:[a-z]+(?:-[a-z]+)* ?){1,2})", "\n".join(re.findall(r"^ +\$ .*$", PAGE, re.M))))
)


def test_every_alert_has_a_row_that_says_what_to_do() -> None:
    rows = dict(re.findall(r"^\| `(Hookline\w+)` \| (.+) \|$", PAGE, re.M))
    assert list(rows) == [alert["alert"] for alert in ALERTS]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_one_of_the_command_line(words: str) -> None:
    group = typer.main.get_command(app)
    first, *rest = words.split()
    found = group.commands[first]  # type: ignore[attr-defined]
    for word in rest:
        assert word in getattr(found, "commands", {word: None})


def test_links_within_the_page_lead_somewhere() -> None:
    there = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.+)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= there
