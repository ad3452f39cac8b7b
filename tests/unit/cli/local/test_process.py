"""Child processes: their output kept, stopped when asked, gone when their parent is killed. Real processes, small scripts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hookline.cli.local.process import Child, how_it_ended, launcher
from tests.kit.waiting import until

STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)"
)
PATIENT = "import time\nprint('here', flush=True)\ntime.sleep(60)"


def child(script: str, tmp_path: Path, **more: str) -> Child:
    return Child("fake", [sys.executable, "-c", script], {**os.environ, **more}, tmp_path / "logs" / "fake.log")


async def until_said(one: Child, text: str) -> None:
    await until(lambda: text in one.last_lines())


async def test_its_output_is_in_the_log_file_and_its_end_in_words(tmp_path: Path) -> None:
    one = child(
        "import os, sys\nprint('out', os.environ['MARK'])\nsys.stderr.write('err\\n')\nsys.exit(3)", tmp_path, MARK="m"
    )
    await one.start()
    assert await one.ended() == "exit code 3"
    assert set(one.last_lines()) == {"out m", "err"}
    assert set((tmp_path / "logs" / "fake.log").read_text().splitlines()) == {"out m", "err"}
    assert one.pid is None


async def test_a_second_run_appends_to_the_log_and_forgets_the_tail(tmp_path: Path) -> None:
    one = child("print('once')", tmp_path)
    for _ in range(2):
        await one.start()
        await one.ended()
    assert one.last_lines() == ["once"]
    assert (tmp_path / "logs" / "fake.log").read_text() == "once\nonce\n"


async def test_a_huge_line_without_end_does_not_stop_the_log(tmp_path: Path) -> None:
    one = child("print('x' * 3_000_000 + 'END')", tmp_path)
    await one.start()
    assert await one.ended() == "exit code 0"
    assert one.last_lines()[-1].endswith("END")


async def test_error_lines_are_passed_on(tmp_path: Path) -> None:
    seen: list[str] = []
    script = "print('2026-11-24T10:00:00Z [error    ] broken')\nprint('2026 [info     ] fine')\nprint('{\"level\": \"error\"}')"
    one = Child("fake", [sys.executable, "-c", script], os.environ, tmp_path / "fake.log", seen.append)
    await one.start()
    await one.ended()
    assert seen == ["2026-11-24T10:00:00Z [error    ] broken", '{"level": "error"}']


async def test_stop_asks_first(tmp_path: Path) -> None:
    one = child(PATIENT, tmp_path)
    await one.start()
    await until_said(one, "here")
    assert await one.stop(grace_s=20)
    assert await one.ended() == "killed by SIGTERM"


async def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    one = child(STUBBORN, tmp_path)
    await one.start()
    await until_said(one, "deaf")
    assert not await one.stop(grace_s=0.1)
    assert await one.ended() == "killed by SIGKILL"


async def test_it_keeps_its_own_name_and_is_our_child_in_a_session_of_its_own(tmp_path: Path) -> None:
    one = child(PATIENT, tmp_path)
    await one.start()
    await until_said(one, "here")
    assert one.pid is not None
    process = psutil.Process(one.pid)
    assert process.cmdline() == [sys.executable, "-c", PATIENT]  # as `ps` shows it: no launcher
    assert process.ppid() == os.getpid()
    assert os.getsid(one.pid) == one.pid  # Ctrl-C in our terminal does not reach it
    await one.stop(grace_s=20)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent_script = (
        "import subprocess, sys, time\n"
        "from hookline.cli.local.process import launcher\n"
        f"one = subprocess.Popen([*launcher(), sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.PIPE)\n"
        "one.stdout.readline()\n"
        "print(one.pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    grandchild = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while grandchild.is_running() and grandchild.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.02)


def test_it_does_not_even_start_when_the_parent_is_gone_already() -> None:
    *command, _ = launcher()
    done = subprocess.run(
        [*command, "1", sys.executable, "-c", "print('ran')"], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 1


def test_signals_have_names() -> None:
    assert how_it_ended(-9) == "killed by SIGKILL"
    assert how_it_ended(0) == "exit code 0"
    assert how_it_ended(-250) == "killed by signal 250"
