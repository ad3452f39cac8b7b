"""Work that is shared among processes: all that is said is heard, and what ends one of them is raised here."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from hookline.audit.jobs import LONG_LOG, Jobs, jobs_for
from hookline.audit.source import Extent, Origin, Span
from hookline.errors import BundleBroken, ConfigError, HooklineError, Undecodable
from hookline.log.records import LOGS
from tests.unit.audit.record import FOLDER
from tests.unit.audit.test_bundle import change, lines, write
from tests.unit.audit.test_cli import hookline


def heard(count: int, work: Callable[[int, Callable[[object], None]], None]) -> list[object]:
    said: list[object] = []
    with Jobs(count, work) as jobs:
        jobs.hear(said.append)
    return said


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_that_is_said_is_heard_in_its_order(count: int) -> None:
    def work(job: int, say: Callable[[object], None]) -> None:
        for n in range(1000):
            say((job, n))

    said = heard(count, work)
    for job in range(count):
        assert [one for one in said if one[0] == job] == [(job, n) for n in range(1000)]  # type: ignore[index]
    assert len(said) == 1000 * count


def test_several_are_processes_of_their_own() -> None:
    assert os.getpid() not in (pids := heard(3, lambda job, say: say(os.getpid())))
    assert len(set(pids)) == 3
    assert heard(1, lambda job, say: say(os.getpid())) == [os.getpid()]


@pytest.mark.parametrize(
    "error",
    [ConfigError("a wrong setting"), BundleBroken("line 7"), Undecodable("pushes", 1, 2, "a newer version")],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_one_is_raised_here(error: HooklineError) -> None:
    def work(job: int, say: Callable[[object], None]) -> None:
        if job == 1:
            raise error
        signal.pause()  # its share is endless: it is ended with the other

    with pytest.raises(type(error)) as raised:
        heard(2, work)
    assert str(raised.value) == str(error)


def test_one_that_is_killed_is_said() -> None:
    with pytest.raises(HooklineError, match="died"):
        heard(2, lambda job, say: os.kill(os.getpid(), signal.SIGKILL))


def test_a_long_log_is_shared_and_a_short_one_not() -> None:
    def origin(records: int, partitions: int) -> Origin:
        extent = Extent({topic: Span(0, records // partitions // 4) for topic in LOGS}, Span(0, 0), {})
        return Origin(None, "", 0, (extent,) * partitions)

    assert jobs_for(origin(LONG_LOG // 2, 12)) == 1
    assert jobs_for(origin(LONG_LOG * 2, 12)) == min(12, os.cpu_count() or 1)
    assert jobs_for(origin(LONG_LOG * 2, 1)) == 1


def test_shared_it_finds_the_same(tmp_path: Path) -> None:
    history = FOLDER / "real-run-1.hookline"
    alone = hookline("verify", "--jobs", "1", "--input", history, "--json")
    shared = hookline("verify", "--jobs", "3", "--input", history, "--json")

    assert alone.returncode == shared.returncode == 0, shared.stderr
    assert json.loads(alone.stdout) == json.loads(shared.stdout)
    changed = lines(history)
    change(changed, 5)
    broken = hookline("verify", "--jobs", "3", "--input", write(tmp_path / "b", changed))
    assert broken.returncode == 1
    assert "line 6" in broken.stderr or "line 7" in broken.stderr
    assert "Traceback" not in broken.stderr
