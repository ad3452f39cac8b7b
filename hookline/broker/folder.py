"""A broker's data folder: whose it is, who uses it, and Kafka's formatted storage in it.

cluster-id          made with the folder; Kafka's data must carry the same
in-use              locked by the process that runs the broker; holds its pid
broker.pid          the broker's pid: what a run that was killed left behind is told by it
server.properties   written anew at each start
log/                Kafka's data (`log.dirs`)
kafka.log           the broker's log; kafka.out what the JVM itself said last
"""

import base64
import fcntl
import os
import shutil
import struct
import uuid
from pathlib import Path
from typing import IO

from hookline.errors import BrokerError

__all__ = ["DataFolder", "new_cluster_id"]

LEAST_FREE = 256 * 1024 * 1024
"""Bytes that must be free at a start: a broker whose disk fills up dies."""


def new_cluster_id() -> str:
    """22 letters and digits, as Kafka writes UUIDs."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


class DataFolder:
    """One broker's folder, made if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._in_use: IO[str] | None = None

    @property
    def properties(self) -> Path:
        return self.path / "server.properties"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def words(self) -> Path:
        return self.path / "kafka.log"

    @property
    def output(self) -> Path:
        return self.path / "kafka.out"

    @property
    def pid_file(self) -> Path:
        return self.path / "broker.pid"

    @property
    def formatted(self) -> bool:
        return (self.log / "meta.properties").exists()

    def take(self) -> None:
        """Lock the folder for this process. Raises BrokerError: in use, no room, not writable."""
        if self._in_use:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        file = (self.path / "in-use").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise self.used_by(holder) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._in_use = file
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE:
            self.release()
            raise BrokerError(
                f"no room in {self.path}: the broker needs {LEAST_FREE >> 20} MB free to start, there are {free >> 20}. "
                "Make room there, or choose another folder (--data, or HOOKLINE_DATA_DIR)."
            )

    def release(self) -> None:
        """Give the lock back."""
        if self._in_use:
            self._in_use.close()
            self._in_use = None

    def used_by(self, pid: str) -> BrokerError:
        """The error that says that another broker runs on this folder."""
        return BrokerError(
            f"the data in {self.path} is in use by another running broker{f' (process {pid})' if pid else ''}. "
            "Stop that one first, or choose another folder (--data, or HOOKLINE_DATA_DIR)."
        )

    def leftover(self) -> int | None:
        """Pid of a broker that still runs on this folder's data though its parent is gone; None if there is none.

        Raises BrokerError when the data is held by a process that no run of ours started.
        """
        holder = _lock_holder(self.log / ".lock")
        if holder is None:
            return None
        if not self.pid_file.exists() or self.pid_file.read_text().strip() != str(holder):
            raise self.used_by(str(holder))
        return holder

    def cluster_id(self, given: str | None = None) -> str:
        """This folder's cluster id, made (or taken as `given`) at the first call. Raises BrokerError when the data is another cluster's."""
        file = self.path / "cluster-id"
        found = self._formatted_cluster_id()
        if not file.exists() and found is None:
            file.write_text(f"{given or new_cluster_id()}\n")
        ours = file.read_text().strip() if file.exists() else None
        if found is not None and found != ours:
            raise BrokerError(
                f"the data in {self.log} belongs to Kafka cluster {found}, but {file} says {ours or 'nothing: it is missing'}. "
                f"Choose another folder (--data, or HOOKLINE_DATA_DIR); if this data is really yours, write {found} into {file}."
            )
        assert ours is not None
        return ours

    def _formatted_cluster_id(self) -> str | None:
        meta = self.log / "meta.properties"
        if not meta.exists():
            return None
        lines = (line.partition("=") for line in meta.read_text().splitlines())
        return next((value.strip() for key, _, value in lines if key.strip() == "cluster.id"), "")


def _lock_holder(path: Path) -> int | None:
    """Pid of the process with a POSIX lock on this file (Kafka locks `.lock` in its data so); None if there is none."""
    try:
        with path.open("r+b") as file:
            asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    return pid if kind != fcntl.F_UNLCK else None
