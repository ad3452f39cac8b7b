"""The installation pages: every block of values renders, the table of rights is the chart's, the compose file's settings exist."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from hookline.settings import Settings
from tests.deploy.conftest import ROOT, TOOLS, helm
from tests.deploy.test_kafka import USERS, acls

PAGE = (ROOT / "docs" / "install.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
COMPOSE = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "install-compose.md").read_text(), re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_of_values_renders(number: int, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(BLOCKS[number])

    said = helm("--values", str(tmp_path / "values.yaml"))

    assert said.returncode == 0, said.stderr


def in_words(user: str) -> tuple[list[str], list[str], list[str]]:
    """Topics that it writes, topics that it reads, and whatever else but checking."""
    found = [
        (a["resource"]["type"], a["resource"]["name"].removeprefix("hookline."), a["operations"]) for a in acls(user)
    ]
    writes, reads = (
        sorted(n for t, n, operations in found if t == "topic" and right in operations) for right in ("Write", "Read")
    )
    others = [f"Delete on {n}" for t, n, operations in found if t == "topic" and "Delete" in operations]
    groups = [
        f"{' and '.join(sorted(operations, reverse=True))} on group `hookline.{n}`"
        for t, n, operations in found
        if t == "group"
    ]
    return writes, reads, others + groups


@pytest.mark.parametrize("user", USERS)
def test_the_table_of_rights_is_what_the_chart_gives(user: str) -> None:
    row = re.search(rf"^\| {user} \| (.*?) \| (.*?) \| ?(.*?) ?\|$", PAGE, re.M)
    assert row is not None
    besides = list(filter(None, row[3].split("; ")))
    if user == "topics":  # with Strimzi the job makes none
        besides = [right.split(" (")[0] for right in besides if "Create" not in right and "AlterConfigs" not in right]

    assert (sorted(row[1].split(", ")), sorted(row[2].split(", ")), besides) == in_words(user)


def test_compose_runs_the_services_with_settings_that_exist() -> None:
    (text,) = COMPOSE
    services = yaml.safe_load(text)["services"]
    known = {f"HOOKLINE_{name.upper()}" for name in Settings.model_fields}
    named = {name for one in services.values() for name in one["environment"] if name.startswith("HOOKLINE_")}

    assert {"ingress", "dispatcher", "callbacks", "console", "topics"} < services.keys()
    assert named
    assert named <= known


def test_the_kustomize_page_builds(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "install-kustomize.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (tmp_path / "kustomization.yaml").write_text(re.sub(r"^ {3}", "", block, flags=re.M))
    values = str(ROOT / "tests" / "deploy" / "values" / "minimal.yaml")
    (tmp_path / "rendered.yaml").write_text(helm("--skip-tests", "--values", values).stdout)

    built = subprocess.run(
        [TOOLS / "venv" / "bin" / "kubectl", "kustomize", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    assert "priorityClassName: webhooks" in built.stdout
    assert "hookline-test" not in {
        thing["metadata"]["name"] for thing in yaml.safe_load_all(built.stdout) if thing["kind"] == "Pod"
    }
