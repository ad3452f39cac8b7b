"""One real Kafka broker as a child process: made ready, started, waited for, stopped (design section 6, "The broker")."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

from hookline.broker.config import JVM_FLAGS, Node, render, server_properties
from hookline.broker.folder import DataFolder
from hookline.broker.jars import KAFKA_VERSION, Jars, cache_dir
from hookline.broker.java import find_java
from hookline.broker.probe import answers, port_is_taken
from hookline.errors import BrokerError

__all__ = ["EmbeddedBroker", "Membership"]

POLL_S = 0.05
SAY_EVERY_S = 10.0
TAIL_BYTES = 64 * 1024


def _quiet(_: str) -> None:
    pass


@dataclass(frozen=True)
class Membership:
    """Which broker of which cluster: by default the only one of its own."""

    nodes: Sequence[Node]
    cluster_id: str | None = None
    initial_controllers: str = ""
    """As StorageTool takes it; empty for a single broker."""


class EmbeddedBroker:
    """A broker on loopback with its data in one folder; it may be started again after `stop`, `kill` or its own death."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        say: Callable[[str], None] = _quiet,
        properties: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
        node_id: int = 1,
        membership: Membership | None = None,
        jars: Jars | None = None,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 20.0,
    ) -> None:
        """`properties` are put over ours in server.properties; `format_arguments` go to StorageTool's first `format` (SCRAM users).

        Raises BrokerError when the port cannot be a broker's.
        """
        self._folder = DataFolder(data_dir.absolute())
        self._node = Node(port, node_id)
        self._membership = membership or Membership((self._node,))
        self._say = say
        self._extra = dict(properties or {})
        self._format_arguments = tuple(format_arguments)
        self._jars = jars or Jars(cache_dir())
        self._start_timeout_s, self._stop_timeout_s = start_timeout_s, stop_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    @property
    def bootstrap_servers(self) -> str:
        return self._node.address

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The `java` child, alive or dead; None before the first start."""
        return self._process

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when the broker answers. Blocks; run it with asyncio.to_thread where there is a loop.

        Raises BrokerError in words: no Java, no room, a port taken, another cluster's data, in use, no download, died, too slow.
        """
        if self.is_alive():
            return
        self._stopping = False
        try:
            command = self._make_ready()
            self._launch(command)
            self._wait_until_it_answers()
        except OSError as error:
            self.stop()
            raise BrokerError(
                f"cannot use {self._folder.path} for the broker: {error.strerror or error}. "
                "Make room there or mend it, or choose another folder (--data, or HOOKLINE_DATA_DIR)."
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in order (SIGTERM), after `stop_timeout_s` by force; then let the folder go. Nothing to do is fine."""
        self._stopping = True
        if self._process and self.is_alive():
            self._process.terminate()
            try:
                self._process.wait(self._stop_timeout_s)
            except subprocess.TimeoutExpired:
                self._say(f"the broker did not stop within {self._stop_timeout_s:.0f} s: killed")
                self.kill()
        self._folder.release()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone: what a power cut is like. The folder stays ours; `start` again, or `stop`."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def last_log_lines(self, count: int = 20) -> list[str]:
        """The end of the broker's log, then what the JVM itself said at its last start."""
        return [*_tail(self._folder.words, count), *_tail(self._folder.output, count)][-count:]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_ready(self) -> list[str]:
        """Everything before the broker runs; the command to run it."""
        self._folder.take()
        self._stop_leftover()
        self._check_ports()
        cluster_id = self._folder.cluster_id(self._membership.cluster_id)
        java = find_java()
        self._jars.fetch(self._say)
        base = [
            str(java),
            *JVM_FLAGS,
            f"-Dhookline.log={self._folder.words}",
            f"-Dlog4j2.configurationFile={_log4j2()}",
        ]
        base += ["-cp", self._jars.class_path()]
        if not self._folder.formatted:
            self._format(base, cluster_id)
        self._folder.properties.write_text(self._render(self._folder.log))
        return [*base, "kafka.Kafka", str(self._folder.properties)]

    def _render(self, log_dir: Path) -> str:
        return render(server_properties(self._node, self._membership.nodes, str(log_dir), self._extra))

    def _format(self, base: Sequence[str], cluster_id: str) -> None:
        """In a folder beside, moved into place when whole: a format that was broken off leaves nothing behind."""
        self._say(f"preparing {self._folder.path}")
        half = self._folder.path / "log.new"
        shutil.rmtree(half, ignore_errors=True)
        shutil.rmtree(self._folder.log, ignore_errors=True)
        self._folder.properties.write_text(self._render(half))
        quorum = (
            ["--initial-controllers", self._membership.initial_controllers]
            if self._membership.initial_controllers
            else ["--standalone"]
        )
        arguments = [
            "format",
            "--cluster-id",
            cluster_id,
            "--config",
            str(self._folder.properties),
            *quorum,
            *self._format_arguments,
        ]
        done = subprocess.run(
            [*base, "kafka.tools.StorageTool", *arguments],
            capture_output=True,
            text=True,
            env=_environment(),
            check=False,
        )
        if done.returncode != 0:
            raise BrokerError(
                f"Kafka could not prepare {self._folder.path}: {(done.stderr or done.stdout).strip()[-2000:]}"
            )
        half.rename(self._folder.log)

    def _check_ports(self) -> None:
        for port, whose in (
            (self._node.port, ""),
            (self._node.controller_port, " (its controller's: the broker's port + 1000)"),
        ):
            if port_is_taken(port):
                raise BrokerError(
                    f"port {port}{whose}, which the broker needs, is taken by another program. Stop that one, or set HOOKLINE_KAFKA_PORT to another port "
                    "(now {}); is it a Kafka to be used? Then set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS.".format(
                        self._node.port
                    )
                )

    def _stop_leftover(self) -> None:
        pid = self._folder.leftover()
        if pid is None:
            return
        self._say(f"stopping the broker that an earlier run left behind (process {pid})")
        deadline = time.monotonic() + self._stop_timeout_s
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            while self._folder.leftover() == pid:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(POLL_S)

    def _launch(self, command: Sequence[str]) -> None:
        if self._stopping:
            raise BrokerError("the broker was stopped before it was started")
        self._say(f"starting Apache Kafka {KAFKA_VERSION} on {self.bootstrap_servers}")
        with self._folder.output.open("wb") as output:
            # Its own session: Ctrl-C in a terminal goes to us alone, who stop it last.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                cwd=self._folder.path,
                start_new_session=True,
            )
        self._folder.pid_file.write_text(f"{self._process.pid}\n")

    def _wait_until_it_answers(self) -> None:
        begun = said = time.monotonic()
        while not answers(self._node.port):
            now = time.monotonic()
            if not self.is_alive():
                raise BrokerError(self._why_it_died())
            if now - begun > self._start_timeout_s:
                raise BrokerError(
                    f"the broker did not answer on {self.bootstrap_servers} within {self._start_timeout_s:.0f} s:\n{self._quote()}"
                )
            if now - said > SAY_EVERY_S:
                said = now
                self._say(f"still starting after {now - begun:.0f} s: {(self.last_log_lines(1) or ['no word yet'])[0]}")
            time.sleep(POLL_S)

    def _why_it_died(self) -> str:
        if self._stopping:
            return "the broker was stopped before it was ready"
        words = "\n".join(self.last_log_lines(200))
        if "Failed to acquire lock on file" in words:
            return str(self._folder.used_by(""))
        if "Address already in use" in words:
            return f"port {self._node.port} or {self._node.controller_port} was taken while the broker started: set HOOKLINE_KAFKA_PORT to another port."
        if "No space left on device" in words:
            return f"the disk that holds {self._folder.path} is full: make room there, or choose another folder (--data, or HOOKLINE_DATA_DIR)."
        code = self._process.returncode if self._process else None
        return f"the broker ended with code {code} before it was ready. Its last words, in {self._folder.words}:\n{self._quote()}"

    def _quote(self) -> str:
        return "\n".join(f"    {line}" for line in self.last_log_lines(15))


def _log4j2() -> Path:
    return Path(str(files("hookline.broker").joinpath("log4j2.properties")))


def _environment() -> dict[str, str]:
    """Ours, without Hookline's settings: a broker needs no secret of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}


def _tail(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
