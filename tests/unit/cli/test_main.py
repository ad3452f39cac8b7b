"""The command as a user meets it: help with examples, clear words and exit codes, no stack trace."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookline import __version__
from hookline.cli.main import app
from tests.kafka import free_broker_port
from tests.unit.cli import inprocess

COMMANDS = ["up", "demo", "receive", "ingress", "dispatcher", "callbacks", "console", "doctor", "sources"]
COMMANDS += [f"sources {name}" for name in ("list", "test")]
COMMANDS += [f"quarantine {name}" for name in ("list", "show", "retry")]
COMMANDS += [f"topics {name}" for name in ("create", "describe", "new-epoch")]
COMMANDS += [f"audit {name}" for name in ("replay", "state", "verify", "export")]


def run(*arguments: str, cwd: Path, settings: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """As a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "hookline.cli", *arguments],
        env=kept | dict(settings or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "Example" in result.output
    examples = result.output.partition("Example")[2].partition("╭")[0]
    assert f"    hookline {command}" in examples or f" hookline {command}" in examples
    assert all(line.startswith(("     ", "s:", ":")) or not line.strip() for line in examples.split("\n")[:-1]), (
        examples
    )


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"hookline {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "words"),
    [
        (["up"], {"HOOKLINE_KAFKA_PORT": "many"}, 2, "HOOKLINE_KAFKA_PORT"),
        (["up", "--data", "/proc/nothing"], {}, 2, "cannot use /proc/nothing"),
        (["receive", "--secret", "nonsense"], {}, 2, "not a hook secret"),
        (["receive", "--host", "192.0.2.1"], {}, 2, "choose another --port"),
        (["topics", "new-epoch"], {}, 2, "--yes"),
        (["topics", "create"], {}, 1, "hookline up"),
        (["topics", "describe"], {"HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 1, "127.0.0.1:1"),
        (["quarantine", "list"], {"HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 1, "127.0.0.1:1"),
        (["quarantine", "retry"], {}, 2, "--all"),
        (["sources", "nothing"], {}, 2, "no such source: nothing"),
        (["ingress"], {"HOOKLINE_INGRESS_SECRETS_FILE": "/nowhere"}, 2, "HOOKLINE_INGRESS_SECRETS_FILE"),
        (["ingress"], {"HOOKLINE_GENERIC_TAG": "a.["}, 2, "HOOKLINE_GENERIC_TAG is not JMESPath"),
        (["up"], {"HOOKLINE_KAFKA_USERNAME": "me"}, 2, "set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS to yours"),
        (["up"], {"HOOKLINE_KAFKA_SECURITY_PROTOCOL": "SSL"}, 2, "HOOKLINE_KAFKA_SECURITY_PROTOCOL set, and no Kafka"),
        (["up", "--nonsense"], {}, 2, "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_mistake(arguments: list[str], settings: dict[str, str], code: int, words: str, tmp_path: Path) -> None:
    # What serves takes signals, so it needs a process.
    hookline = run if arguments[0] in ("ingress", "receive") else inprocess.hookline
    done = hookline(*arguments, cwd=tmp_path, settings={"HOOKLINE_KAFKA_PORT": str(free_broker_port()), **settings})
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "nonsense" not in done.stderr or "--nonsense" in done.stderr  # a secret is never repeated


def test_doctor_says_what_is_missing_and_fails(tmp_path: Path) -> None:
    password = "hidden-password"
    settings = {"HOOKLINE_KAFKA_PORT": str(free_broker_port()), "HOOKLINE_ADMIN_PASSWORD": password}
    done = inprocess.hookline("doctor", cwd=tmp_path, settings=settings)
    assert done.returncode == 1
    assert "hookline up" in done.stdout
    assert "***" in done.stdout
    assert password not in done.stdout + done.stderr


def test_a_service_command_runs_the_service(tmp_path: Path) -> None:
    """Without a master key it refuses in words; so we know that it got to the service."""
    done = run("dispatcher", cwd=tmp_path)
    assert done.returncode == 2
    assert "HOOKLINE_MASTER_KEYS" in done.stderr
