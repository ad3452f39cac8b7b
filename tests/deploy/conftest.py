"""What the chart renders, by the helm that scripts/deploy-tools puts into .cache/deploy."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "hookline"
TOOLS = ROOT / ".cache" / "deploy"
VALUES = Path(__file__).parent / "values"
NAMESPACE = "hooks"

Thing = Mapping[str, Any]
"""A Kubernetes object."""


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """Skips, with the reason, where they cannot be had."""
    install = [str(ROOT / "scripts" / "deploy-tools")]
    try:
        subprocess.run(install, capture_output=True, text=True, timeout=110, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip("scripts/deploy-tools takes longer than 110 s: run it once by itself")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"scripts/deploy-tools failed: {error.stderr.strip()[-500:]}")


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    template = [str(TOOLS / "helm"), "template", "hookline", str(CHART), "--namespace", NAMESPACE]
    return subprocess.run([*template, *arguments], capture_output=True, text=True, timeout=60, check=False)


@cache
def rendered(values: str, *more: str) -> "Rendered":
    """What `tests/deploy/values/<values>.yaml` gives; `more`: `--set` arguments."""
    said = helm("--values", str(VALUES / f"{values}.yaml"), *(word for one in more for word in ("--set", one)))
    assert said.returncode == 0, said.stderr
    return Rendered([thing for thing in yaml.safe_load_all(said.stdout) if thing])


def refused(values: str, *more: str) -> str:
    """What helm says about values that it does not render."""
    said = helm("--values", str(VALUES / f"{values}.yaml"), *(word for one in more for word in ("--set", one)))
    assert said.returncode != 0, "it was rendered"
    return said.stderr


class Rendered:
    """All objects of a release."""

    def __init__(self, things: list[Thing]) -> None:
        self.things = things

    def of(self, kind: str) -> dict[str, Thing]:
        return {thing["metadata"]["name"]: thing for thing in self.things if thing["kind"] == kind}

    def one(self, kind: str, name: str) -> Thing:
        return self.of(kind)[name]

    def workload(self, service: str) -> Thing:
        return self.one("StatefulSet" if service == "dispatcher" else "Deployment", f"hookline-{service}")

    def pods(self) -> dict[str, Thing]:
        """Every pod's metadata and spec, by its component: the four services, the topics job, the test."""
        found = [t["spec"]["template"] for t in self.things if t["kind"] in ("Deployment", "StatefulSet", "Job")]
        found += self.of("Pod").values()
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in found}

    def environment(self, service: str) -> dict[str, Any]:
        """A service's variables: text, or the `valueFrom` of what is not text. What its own env says wins, as in a pod."""
        container = self.pods()[service]["spec"]["containers"][0]
        own = {one["name"]: one.get("value", one.get("valueFrom")) for one in container.get("env", [])}
        return dict(self.one("ConfigMap", "hookline")["data"]) | own
