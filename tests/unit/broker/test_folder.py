"""Whose a data folder is: one broker at a time, one cluster for good, and what a killed run left is found."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.broker.folder import DataFolder, new_cluster_id, process_is_gone
from hookline.errors import BrokerError
from tests.kit.waiting import wait_until

Usage = namedtuple("Usage", "total used free")
HOLD_THE_LOCK = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"


def put_data(folder: Path, cluster_id: str) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text(f"#\nversion=1\ncluster.id={cluster_id}\nnode.id=1\n")


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the data as Kafka does."""
    (tmp_path / "data").mkdir()
    arguments = [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path / "data" / ".lock")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_is_taken_once(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.take()
    first.take()
    with pytest.raises(BrokerError, match=rf"in use by another running broker \(process {os.getpid()}\).*--data"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_a_folder_that_is_made_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "made")
    folder.take()
    folder.release()
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_properties_are_their_owners_only_also_where_others_could_read_them_before(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.properties.write_text("")
    folder.properties.chmod(0o644)
    folder.write_properties("password=x\n")
    assert folder.properties.stat().st_mode & 0o777 == 0o600
    assert folder.properties.read_text() == "password=x\n"


def test_too_little_room_is_said_and_the_folder_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DataFolder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 50 << 20))
        with pytest.raises(BrokerError, match=r"256 MB must be free to start, there are 50 MB.*--data"):
            folder.take()
    DataFolder(tmp_path).take()


def test_an_os_error_becomes_words(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerError, match=r"the broker cannot use .*: No space left on device\..*--data"),
        DataFolder(tmp_path).in_words(),
    ):
        raise OSError(28, "No space left on device")


def test_the_cluster_id_is_made_once(tmp_path: Path) -> None:
    made = DataFolder(tmp_path).cluster_id()
    assert DataFolder(tmp_path).cluster_id() == made
    put_data(tmp_path, made)
    assert DataFolder(tmp_path).cluster_id() == made


def test_data_of_another_cluster_is_refused(tmp_path: Path) -> None:
    ours = DataFolder(tmp_path).cluster_id()
    put_data(tmp_path, "theirs")
    with pytest.raises(
        BrokerError, match=rf"belongs to Kafka cluster theirs, but .*cluster-id says {ours}.*write theirs into"
    ):
        DataFolder(tmp_path).cluster_id()


def test_data_that_nobody_claims_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    put_data(tmp_path, "theirs")
    with pytest.raises(BrokerError, match=r"belongs to Kafka cluster theirs, but .*cluster-id is missing"):
        DataFolder(tmp_path).cluster_id()
    assert not (tmp_path / "cluster-id").exists()


def test_a_member_of_another_cluster_is_refused(tmp_path: Path) -> None:
    ours = DataFolder(tmp_path).cluster_id()
    with pytest.raises(BrokerError, match=rf"belongs to Kafka cluster {ours}, not to theirs"):
        DataFolder(tmp_path).cluster_id("theirs")


def test_no_cluster_id_looks_like_an_option() -> None:
    ids = {new_cluster_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(one) for one in ids} == {22}
    assert not [one for one in ids if one.startswith("-")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_what_a_killed_run_left_is_told_by_its_pid(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    folder = DataFolder(tmp_path)
    folder.pid_file.write_text(f"{holder.pid}\n")
    assert folder.leftover() == holder.pid
    assert not process_is_gone(holder.pid)
    holder.kill()
    wait_until(lambda: process_is_gone(holder.pid))
    assert holder.returncode is None, "a zombie counts as gone: its locks and ports are free"
    assert folder.leftover() is None
    holder.wait()
    assert process_is_gone(holder.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_a_process_that_we_did_not_start_is_never_taken_for_ours(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    folder = DataFolder(tmp_path)
    for written in (None, "1\n"):
        if written:
            folder.pid_file.write_text(written)
        with pytest.raises(BrokerError, match=rf"in use by another running broker \(process {holder.pid}\)"):
            folder.leftover()


def test_the_last_lines_are_the_logs_then_the_jvms(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.last_log_lines(3) == []
    folder.log.write_text("".join(f"{n}\n" for n in range(100_000)))
    folder.output.write_text("Error: no such class\nWARNING: a deprecated method has been called\n")
    assert folder.last_log_lines(3) == ["99998", "99999", "Error: no such class"]
