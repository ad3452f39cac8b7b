"""`hookline up` for real: its `ready` line, README's walk-through with curl, kill -9 of everything, two side by side, Ctrl-C."""

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from hookline.cli.demo.demo import HISTORY_PAGE
from tests.integration.readme import shell_blocks
from tests.integration.running import READY_S, Command, Up
from tests.kafka import free_broker_port
from tests.kit.waiting import wait_until

SERVICES = ("ingress", "dispatcher", "callbacks", "console")
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that most tests here share; they run in order, and the last one stops it."""
    running = Up(tmp_path_factory.mktemp("up") / "hookline-data")
    try:
        running.until_line("^ready$")
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def broken(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Its ingress cannot live."""
    running = beside(up, tmp_path_factory.mktemp("broken"), HOOKLINE_INGRESS_SECRETS_FILE="/nowhere/secrets.toml")
    try:
        yield running
    finally:
        running.end()


def beside(up: Up, folder: Path, **settings: str) -> Up:
    """Another one, on the Kafka of that one, under a prefix of its own: it starts no broker."""
    return Up(
        folder / "data",
        HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{up.port('kafka')}",
        HOOKLINE_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        HOOKLINE_KAFKA_SASL_MECHANISM="PLAIN",
        HOOKLINE_KAFKA_USERNAME="hookline",
        HOOKLINE_KAFKA_PASSWORD=secrets(up)["HOOKLINE_KAFKA_PASSWORD"],
        HOOKLINE_TOPIC_PREFIX=f"{folder.name}.",
        HOOKLINE_PARTITIONS="1",
        **settings,
    )


def secrets(up: Up) -> dict[str, str]:
    lines = (up.data / "secrets.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def push(up: Up, tag: str) -> int:
    """The status that ingress answers."""
    body = {"push_data": {"tag": tag, "pushed_at": 1417566161}, "repository": {"repo_name": "acme/other"}}
    request = urllib.request.Request(
        f"{up.url('ingress')}/events/dockerhub",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {secrets(up)['HOOKLINE_INGRESS_TOKENS']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def test_ready_comes_with_everything_one_wants_to_know(up: Up) -> None:
    assert all(up.is_ready(name) for name in SERVICES)
    up.until_line("Ctrl-C stops it")
    after = up.text.partition("\nready\n")[2]
    for name in ("ingress", "callbacks", "console"):
        assert up.url(name) in after
    made = secrets(up)
    assert "admin" in after
    assert made["HOOKLINE_ADMIN_PASSWORD"] in after
    assert re.search(rf"curl .*Bearer {re.escape(made['HOOKLINE_INGRESS_TOKENS'])}.*/events/dockerhub", after)
    assert made["HOOKLINE_MASTER_KEYS"] not in up.text


def test_the_curl_line_works_as_it_was_printed(up: Up) -> None:
    line = up.until_line(r"curl .*/events/dockerhub").strip()
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(done.stdout)["accepted"] == 1


def test_the_secrets_are_their_owners_only(up: Up) -> None:
    assert stat.S_IMODE((up.data / "secrets.env").stat().st_mode) == 0o600


def test_ps_tells_the_processes_apart_and_shows_no_secret(up: Up) -> None:
    children = up.children()
    assert set(children) == {*SERVICES, "kafka"}
    lines = " ".join(part for child in children.values() for part in child.cmdline())
    assert not [name for name, value in secrets(up).items() if value in lines]


def test_who_may_not_read_the_folder_is_not_let_into_kafka(up: Up) -> None:
    """A command beside it finds the password in its folder; one that looks elsewhere is told so."""
    beside = Command("topics", "describe", environment=up.environment | up.folder, cwd=up.data.parent)
    assert (beside.wait(), "log_id" in beside.text) == (0, True)
    elsewhere = up.environment | {"HOOKLINE_DATA_DIR": str(up.data / "elsewhere")}
    stranger = Command("topics", "describe", environment=elsewhere, cwd=up.data.parent)
    assert stranger.wait() == 1
    assert "set HOOKLINE_DATA_DIR to the folder of the one that runs" in stranger.text
    wrong = Command(
        "topics", "describe", environment=elsewhere | {"HOOKLINE_KAFKA_PASSWORD": "guessed"}, cwd=up.data.parent
    )
    assert wrong.wait() == 1
    assert "Kafka does not let us in" in wrong.text
    readable = [path for path in up.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    kept = secrets(up)["HOOKLINE_KAFKA_PASSWORD"].encode()
    assert not [path for path in readable if kept in path.read_bytes()]


def test_a_second_up_on_the_folder_is_refused_with_words(up: Up) -> None:
    second = Command("up", "--data", str(up.data), environment=up.environment, cwd=up.data.parent)
    assert second.wait() == 2
    assert f"process {up.process.pid}" in second.text
    assert "Traceback" not in second.text


def test_a_taken_port_is_named_with_its_setting(up: Up, tmp_path: Path) -> None:
    second = Command("up", "--data", str(tmp_path / "other"), environment=up.environment, cwd=tmp_path)
    assert second.wait() == 2
    assert "HOOKLINE_KAFKA_PORT" in second.text
    assert "Traceback" not in second.text


def test_killed_services_come_back(up: Up) -> None:
    before = up.children()
    for name in SERVICES:
        before[name].kill()

    def back() -> bool:
        now = up.children()
        return all(name in now and now[name] != before[name] and up.is_ready(name) for name in SERVICES)

    wait_until(back)
    for name in SERVICES:
        up.until_line(rf"{name} .*SIGKILL")
        up.until_line(rf"{name} .*is back")


def test_a_killed_broker_comes_back_and_nobody_else_has_to(up: Up) -> None:
    before = up.children()
    before["kafka"].kill()
    wait_until(lambda: up.children().get("kafka") not in (None, before["kafka"]))
    up.until_line("kafka .*is back")
    wait_until(lambda: all(up.is_ready(name) for name in SERVICES))
    assert {name: up.children()[name] for name in SERVICES} == {name: before[name] for name in SERVICES}
    wait_until(lambda: _taken(up))


def _taken(up: Up) -> bool:
    try:
        return push(up, "after the broker was killed") == 202
    except OSError:  # 503 while its connections come back
        return False


def test_the_walk_through_in_the_readme(up: Up) -> None:
    """Exactly what it says, but for the ports."""
    script = "\n".join(shell_blocks(README, "By hand, with curl alone"))
    for usual, port in ((8080, up.port("console")), (8081, up.port("ingress")), (9000, free_broker_port())):
        assert str(usual) in script
        script = script.replace(str(usual), str(port))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -eu\ntrap 'kill $(jobs -p)' EXIT\n{script}\n"],
        cwd=up.data.parent,
        env=up.environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'"status": ?"(\w+)"', done.stdout) == ["pending", "success"]
    assert '"OK"' in done.stdout


@pytest.mark.usefixtures("broken")  # its pauses pass meanwhile
def test_two_side_by_side_and_kill_9_of_one_leaves_nothing_of_it(up: Up, tmp_path: Path) -> None:
    other = Up(tmp_path / "data")
    try:
        other.until_line("^ready$")
        assert all(up.is_ready(name) and other.is_ready(name) for name in SERVICES)
        assert secrets(other)["HOOKLINE_ADMIN_PASSWORD"] != secrets(up)["HOOKLINE_ADMIN_PASSWORD"]
        family = list(other.children().values())
        assert len(family) == 5
        other.signal(signal.SIGKILL)
        other.wait()
        wait_until(lambda: not any(map(_lives, family)), within_s=20)
    finally:
        other.end()
    assert all(up.is_ready(name) for name in SERVICES)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_page_that_the_demo_names_shows_it(up: Up) -> None:
    """Its pipeline has the name and the repository of README's."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = {"username": "admin", "password": secrets(up)["HOOKLINE_ADMIN_PASSWORD"], "next": HISTORY_PAGE}
    with browser.open(f"{up.url('console')}/login", urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        page = answer.read().decode()
    assert "acme/shop" in page
    assert "1.0.0" in page
    assert "387 tests PASSED" in page


def test_a_child_that_cannot_live_ends_up_with_its_last_words(broken: Up) -> None:
    assert broken.wait(READY_S) == 1
    assert "ingress ended 5 times before it was ready" in broken.text
    assert "HOOKLINE_INGRESS_SECRETS_FILE" in broken.text
    assert "Traceback" not in broken.text
    assert "starting Apache Kafka" not in broken.text


def test_a_console_of_another_log_takes_nobody_down_and_the_printed_command_mends_it(up: Up) -> None:
    before = up.children()
    with sqlite3.connect(up.data / "console.sqlite3", timeout=30) as database:
        database.execute("UPDATE hookline_meta SET value = ? WHERE key = 'log_id'", (str(UUID(int=1)),))
    before["console"].kill()
    up.until_line("console +ended 5 times before it was ready")
    command = up.until_line(r"to do: .* hookline console --rebuild").partition("to do: ")[2]
    assert "the rest keeps running without it: pushes come in, hooks are called" in up.text
    assert str(UUID(int=1)) in up.text
    others = {name: child for name, child in up.children().items() if name != "console"}
    assert others == {name: child for name, child in before.items() if name != "console"}
    assert push(up, "while the console is away") == 202

    environment = up.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "300"}
    doctor = subprocess.run(
        ["hookline", "doctor", "--data", str(up.data)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert doctor.returncode == 1
    assert "the console's database was filled from log" in doctor.stdout
    assert "hookline console --rebuild" in doctor.stdout

    bare = {name: value for name, value in environment.items() if not name.startswith("HOOKLINE_")}
    done = subprocess.run(["bash", "-c", command], env=bare, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "rebuilt: " in done.stderr
    back = len([line for line in up.lines if re.search("console .*is back", line)])
    wait_until(
        lambda: len([line for line in up.lines if re.search("console .*is back", line)]) > back,
    )
    assert up.is_ready("console")


def test_a_folder_that_has_packages_of_our_names_is_one_to_run_in(up: Up, tmp_path: Path) -> None:
    """Whoever runs it from the folder of a program of his own: `python -m` would take that one's `services`."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").write_text("raise ImportError('these are another program')")
    running = beside(up, tmp_path)
    try:
        running.until_line("^ready$")
    finally:
        running.end()


def test_ctrl_c_stops_all_in_order_and_leaves_nobody(up: Up) -> None:
    family = list(up.children().values())
    up.signal(signal.SIGINT)
    assert up.wait() == 0
    assert not any(map(_lives, family))
    assert up.lines[-1] == "stopped"
    assert not [line for line in up.lines if "did not stop" in line]
