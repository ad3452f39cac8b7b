"""A broker's data folder: whose it is, who uses it, and Kafka's formatted data in it.

cluster-id           made with the folder; Kafka's data must carry the same
in-use               locked by the process that runs the broker; holds its pid
broker.pid           the broker's pid: what a run that was killed left behind is told by it
server.properties    written anew at each start
data/                Kafka's data (`log.dirs`)
kafka.log            the broker's log of its last start (older ones are kafka.log.1 to .4)
kafka.out            what the JVM itself said last
"""

import base64
import fcntl
import os
import shutil
import struct
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hookline.errors import BrokerError

__all__ = ["CHOOSE_ANOTHER", "DataFolder", "new_cluster_id", "process_is_gone"]

LEAST_FREE = 256 * 1024 * 1024
"""Bytes that must be free at a start: a broker whose disk fills up dies."""
CHOOSE_ANOTHER = "choose another folder (--data, or HOOKLINE_DATA_DIR)"
TAIL_BYTES = 64 * 1024


class DataFolder:
    """One broker's folder; `take` makes it if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"
        self.properties = path / "server.properties"
        self.log = path / "kafka.log"
        self.output = path / "kafka.out"
        self.pid_file = path / "broker.pid"
        self._in_use: IO[str] | None = None

    @property
    def formatted(self) -> bool:
        """Whether Kafka's data is there."""
        return (self.data / "meta.properties").exists()

    def take(self) -> None:
        """Lock the folder for this process, as long as it lives or until `release`. Raises BrokerError: in use, no room."""
        if self._in_use:
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self.path / "in-use").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise self.used_by(holder) from None
        self._in_use = file
        self._check_room()
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()

    def write_properties(self, text: str) -> None:
        """Write server.properties, for its owner only from its first byte on: it may hold a password."""
        self.properties.unlink(missing_ok=True)
        with open(os.open(self.properties, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)

    def release(self) -> None:
        """Give the lock back; fine if it is not held."""
        if self._in_use:
            self._in_use.close()
            self._in_use = None

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turns an OSError (no space left, not writable) into a BrokerError that says what to do."""
        try:
            yield
        except OSError as error:
            raise BrokerError(
                f"the broker cannot use {self.path}: {error.strerror or error}. Fix that or make room, or {CHOOSE_ANOTHER}."
            ) from error

    def last_log_lines(self, count: int) -> list[str]:
        """The end of the broker's log, then what the JVM itself said since its last start (but for its warnings: Java 25 has some always)."""
        jvm = [line for line in _tail(self.output, count) if not line.startswith("WARNING: ")]
        return [*_tail(self.log, count), *jvm][-count:]

    def used_by(self, pid: str) -> BrokerError:
        """The error that says that another broker runs on this folder."""
        return BrokerError(
            f"the data in {self.path} is in use by another running broker{f' (process {pid})' if pid else ''}. Stop that one first, or {CHOOSE_ANOTHER}."
        )

    def leftover(self) -> int | None:
        """Pid of a broker that still runs on this data though the process that ran it is gone; None if there is none.

        Raises BrokerError when the data is held by a process that is not the broker we wrote down.
        """
        holder = _lock_holder(self.data / ".lock")
        if holder is None:
            return None
        if not self.pid_file.exists() or self.pid_file.read_text().strip() != str(holder):
            raise self.used_by(str(holder))
        return holder

    def cluster_id(self, given: str | None = None) -> str:
        """This folder's cluster id, made (or taken as `given`) at the first call. Raises BrokerError when the data is another cluster's."""
        file = self.path / "cluster-id"
        found = self._cluster_id_of_data()
        if found is None and not file.exists():
            file.write_text(f"{given or new_cluster_id()}\n")
        ours = file.read_text().strip() if file.exists() else ""
        if found is not None and found != ours:
            raise BrokerError(
                f"the data in {self.data} belongs to Kafka cluster {found}, but {file} {f'says {ours}' if ours else 'is missing'}. "
                f"Put back the data that belongs here, or {CHOOSE_ANOTHER}; if this data is the right one, write {found} into {file}."
            )
        if given is not None and ours != given:
            raise BrokerError(f"{self.path} belongs to Kafka cluster {ours}, not to {given}: {CHOOSE_ANOTHER}.")
        return ours

    def _cluster_id_of_data(self) -> str | None:
        if not self.formatted:
            return None
        lines = (line.partition("=") for line in (self.data / "meta.properties").read_text().splitlines())
        return next((value.strip() for key, _, value in lines if key.strip() == "cluster.id"), "")

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE:
            self.release()
            raise BrokerError(
                f"no room for the broker's data in {self.path}: {LEAST_FREE >> 20} MB must be free to start, there are {free >> 20} MB. "
                f"Make room there, or {CHOOSE_ANOTHER}."
            )


def new_cluster_id() -> str:
    """A random UUID in 22 characters, as Kafka writes it (never a first `-`, which StorageTool would take for an option)."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    return new_cluster_id() if text.startswith("-") else text


def process_is_gone(pid: int) -> bool:
    """Whether a process has ended (Linux only), also when nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _tail(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def _lock_holder(path: Path) -> int | None:
    """Pid of the process with a POSIX lock on this file (Kafka locks `.lock` in its data so); None if there is none.

    Only Linux tells it in this way; elsewhere Kafka itself finds the lock when it starts, and ends.
    """
    if sys.platform != "linux" or not path.exists():
        return None
    layout = "hhqqi"  # struct flock: type, whence, start, length, pid
    with path.open("r+b") as file:
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return int(pid) if kind != fcntl.F_UNLCK else None
