"""The scripts, as far as they can be tried without installing anything: their words when something is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and no .venv."""
    shutil.copytree(ROOT / "scripts", tmp_path / "clone" / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "clone" / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    return tmp_path / "clone"


def pythons(clone: Path, body: str) -> dict[str, str]:
    """An environment where every Python is this shell script."""
    programs = clone.parent / "programs"
    programs.mkdir()
    for name in PYTHONS:
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


def run(*command: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, env=path | env, capture_output=True, text=True, timeout=60, check=False)


def test_setup_says_when_python_is_too_old(clone: Path) -> None:
    old = 'case $1 in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac'

    said = run(clone / "scripts" / "setup", **pythons(clone, old))

    assert said.returncode == 1
    assert "needs Python 3.11 or newer; found only: Python 3.9.2" in said.stderr
    assert "PYTHON=" in said.stderr


def test_setup_says_when_python_cannot_make_a_venv(clone: Path) -> None:
    no_venv = 'case "$*" in *ensurepip*) exit 1 ;; --version) echo "Python 3.11.2" ;; *) exit 0 ;; esac'

    said = run(clone / "scripts" / "setup", **pythons(clone, no_venv))

    assert said.returncode == 1
    assert "python3.11 has no venv or no ensurepip. On Debian and Ubuntu: apt-get install python3-venv" in said.stderr


def test_setup_empties_no_folder_that_a_venv_is_a_link_to(clone: Path) -> None:
    shared = clone.parent / "shared"
    shared.mkdir()
    (shared / "kept").touch()
    (clone / ".venv").symlink_to(shared)
    no_pip = 'case "$*" in *"-m pip"*) exit 1 ;; *"-m venv"*) rm -f .venv/kept; exit 1 ;; *) exit 0 ;; esac'

    said = run(clone / "scripts" / "setup", **pythons(clone, no_pip))

    assert said.returncode == 1
    assert f".venv is a link to {shared}" in said.stderr
    assert (shared / "kept").exists()


def test_setup_says_when_pip_fails(clone: Path) -> None:
    offline = 'case "$*" in *install*) echo "no route to host" >&2; exit 1 ;; *) exit 0 ;; esac'
    environment = pythons(clone, offline)
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(clone.parent / "programs" / "python3", clone / ".venv" / "bin" / "python")

    said = run(clone / "scripts" / "setup", **environment)

    assert said.returncode == 1
    assert "no route to host" in said.stderr
    assert "pip could not install requirements/dev.txt" in said.stderr


def test_setup_does_nothing_when_all_is_done(clone: Path) -> None:
    """Every Python fails here: a second run may not even look for one."""
    environment = pythons(clone, "exit 1")
    sums = "cat requirements/dev.txt pyproject.toml scripts/setup | cksum"
    done = run("bash", "-c", f'cd "{clone}" && mkdir .venv && echo "$(pwd -P) $({sums})" > .venv/hookline-setup')
    assert done.returncode == 0

    said = run(clone / "scripts" / "setup", **environment)

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_setup_without_a_broker_fetches_no_jars(clone: Path) -> None:
    environment = pythons(clone, '[[ "$*" == *"hookline.broker fetch"* ]] && echo "jars fetched" >&2; exit 0')
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(clone.parent / "programs" / "python3", clone / ".venv" / "bin" / "python")

    first, again = (run(clone / "scripts" / "setup", "--no-broker", **environment) for _ in range(2))
    assert "done, without Kafka's jars" in first.stderr
    assert "fetched" not in first.stderr
    assert (first.returncode, again.returncode, again.stderr) == (0, 0, "")

    later, done = (run(clone / "scripts" / "setup", **environment) for _ in range(2))
    assert "jars fetched" in later.stderr
    assert "packages" not in later.stderr, "these are there already"
    assert (later.returncode, done.returncode, done.stderr) == (0, 0, "")


def test_setup_knows_its_option(clone: Path) -> None:
    said = run(clone / "scripts" / "setup", "--no-borker")

    assert said.returncode == 1
    assert "usage: scripts/setup [--no-broker]" in said.stderr


def test_setup_begins_again_when_requirements_change(clone: Path) -> None:
    test_setup_does_nothing_when_all_is_done(clone)
    with (clone / "requirements" / "dev.txt").open("a") as file:
        file.write("# changed\n")

    said = run(clone / "scripts" / "setup", PATH=f"{clone.parent / 'programs'}:{os.environ['PATH']}")

    assert said.returncode == 1
    assert "needs Python 3.11" in said.stderr


def test_hooks_before_a_commit_are_of_this_folder_and_check_what_scripts_check_does() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    checks = (ROOT / "scripts" / "check").read_text()

    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    assert all(f"check {hook['entry'].removeprefix('.venv/bin/')}\n" in checks for hook in repository["hooks"])


def test_test_knows_its_parts() -> None:
    said = run(ROOT / "scripts" / "test", "unti")

    assert said.returncode == 2
    assert "usage: scripts/test [PART...]" in said.stderr
    assert run(ROOT / "scripts" / "test", "--help").stdout == said.stderr


COMMANDS = [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file() and not path.suffix]


@pytest.mark.parametrize("script", [*COMMANDS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_scripts_are_executable_and_stop_at_errors(script: Path) -> None:
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    if lines[0] == "#!/usr/bin/env bash":
        assert "set -euo pipefail" in lines
        assert lines[1].startswith("# "), "says what it is for"


def test_packages_says_what_is_left_out_without_root(clone: Path) -> None:
    programs = clone.parent / "programs"
    programs.mkdir()
    for name, body in {"id": "echo 1000", "apt-get": "echo installed", "here": "exit 0"}.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"

    said = run(clone / "scripts" / "packages", "here", "not-here", PATH=path)
    nothing = run(clone / "scripts" / "packages", "here", PATH=path)

    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr == "packages: no root or no apt-get; the tests that need not-here say so\n"
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "")


def test_packages_installs_what_is_missing_where_it_may(clone: Path) -> None:
    programs = clone.parent / "programs"
    programs.mkdir()
    for name, body in {"id": "echo 0", "apt-get": 'echo "apt-get $*"', "here": "exit 0"}.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)

    said = run(clone / "scripts" / "packages", "here", "not-here", PATH=f"{programs}:{os.environ['PATH']}")

    assert said.stdout.splitlines() == [
        "== apt-get install not-here",
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends not-here",
    ]
