"""One real Kafka broker as a child process: made ready, started, waited for, stopped (design section 6, "The broker")."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

from hookline.broker.broker_answers import POLL_S, check_ports, wait_for_answer
from hookline.broker.config import HEAP_FLAGS, JVM_FLAGS, Membership, Node, render, server_properties
from hookline.broker.folder import CHOOSE_ANOTHER, DataFolder, process_is_gone
from hookline.broker.jars import KAFKA_VERSION, Jars, cache_dir
from hookline.broker.java import find_java
from hookline.broker_login import BrokerLogin
from hookline.errors import BrokerError

__all__ = ["EmbeddedBroker"]


class EmbeddedBroker:
    """A broker on loopback with its data in one folder; it may be started again after `stop`, `kill` or its own death."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        login: BrokerLogin | None = None,
        say: Callable[[str], None] = lambda _: None,
        properties: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
        node_id: int = 1,
        membership: Membership | None = None,
        jars: Jars | None = None,
        launcher: Sequence[str] = (),
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 20.0,
    ) -> None:
        """`login`: who is let in; None: everybody on this machine. `say` is told of progress, one line each, from any thread. `properties` are put over ours in server.properties.

        `format_arguments` go to StorageTool's `format`, before the first start (`--add-scram` and the like).
        `launcher` is put before each command: a program that becomes it (`hookline up` ties what it starts to its own life so).
        Raises BrokerError when the port cannot be a broker's.
        """
        self._folder = DataFolder(data_dir.absolute())
        self._node = Node(port, node_id)
        self._membership = membership or Membership((self._node,))
        self._login = login
        self._say = say
        self._extra = dict(properties or {})
        self._format_arguments = tuple(format_arguments)
        self._jars = jars or Jars(cache_dir())
        self._launcher = tuple(launcher)
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
        Then nothing is left running.
        """
        if self.is_alive():
            return
        self._stopping = False
        try:
            with self._folder.in_words():
                self._launch(self._make_ready())
                wait_for_answer(
                    self._node.port, self._login, self._check_alive, self._last_word, self._say, self._start_timeout_s
                )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in order (SIGTERM), after `stop_timeout_s` by force; then let the folder go. Nothing to stop is fine."""
        self._stopping = True
        if self._process and self.is_alive():
            self._process.terminate()
            try:
                self._process.wait(self._stop_timeout_s)
            except subprocess.TimeoutExpired:
                self._say(f"the broker did not stop within {self._stop_timeout_s:g} s: killed")
                self.kill()
        self._folder.release()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. The folder stays ours: `start` again, or `stop`."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def last_log_lines(self, count: int = 20) -> list[str]:
        """The end of the broker's log, then what the JVM itself said since its last start."""
        return self._folder.last_log_lines(count)

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
        check_ports(self._node)
        cluster_id = self._folder.cluster_id(self._membership.cluster_id)
        java = self._java(find_java())
        self._jars.fetch(self._say)
        if not self._folder.formatted:
            self._format(java, cluster_id)
        self._write_properties("data")
        return [*java, "kafka.Kafka", str(self._folder.properties)]

    def _java(self, java: Path) -> list[str]:
        log4j2 = str(files("hookline.broker").joinpath("log4j2.properties"))
        settings = (f"-Dlog4j2.configurationFile={log4j2}", f"-Dhookline.log={self._folder.log}")
        return [str(java), *HEAP_FLAGS, *JVM_FLAGS, *settings, "-cp", self._jars.class_path()]

    def _write_properties(self, data: str) -> None:
        properties = server_properties(self._node, self._membership.nodes, self._extra, login=self._login, data=data)
        self._folder.write_properties(render(properties))

    def _format(self, java: Sequence[str], cluster_id: str) -> None:
        """In a folder beside, moved into place when whole: a format that was broken off leaves nothing behind."""
        self._say(f"preparing the broker's data in {self._folder.path}")
        half = self._folder.path / "data.new"
        for remains in (half, self._folder.data):
            shutil.rmtree(remains, ignore_errors=True)
        self._write_properties(half.name)
        arguments = ["format", "--cluster-id", cluster_id, "--config", str(self._folder.properties)]
        arguments += [*self._membership.format_arguments, *self._format_arguments]
        done = subprocess.run(
            [*self._launcher, *java, "kafka.tools.StorageTool", *arguments],
            capture_output=True, text=True, env=_environment(), cwd=self._folder.path, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise BrokerError(f"Kafka could not prepare its data in {self._folder.path}. It says:\n{said}")
        half.rename(self._folder.data)

    def _stop_leftover(self) -> None:
        """End a broker whose own `hookline` was killed: it holds our data, and nobody else will stop it."""
        pid = self._folder.leftover()
        if pid is None:
            return
        self._say(f"stopping the broker that an earlier run left behind (process {pid})")
        deadline = time.monotonic() + self._stop_timeout_s
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            while not process_is_gone(pid):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(POLL_S)

    def _launch(self, command: Sequence[str]) -> None:
        if self._stopping:
            raise BrokerError("the broker was stopped before it was started")
        self._say(f"starting Apache Kafka {KAFKA_VERSION} on {self.bootstrap_servers}")
        with self._folder.output.open("wb") as output:
            # Its own session: Ctrl-C in a terminal reaches us alone, and we stop the broker last.
            self._process = subprocess.Popen(
                [*self._launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                cwd=self._folder.path,
                start_new_session=True,
            )
        self._folder.pid_file.write_text(f"{self._process.pid}\n")

    def _check_alive(self) -> None:
        if not self.is_alive():
            raise BrokerError(self._why_it_died())

    def _last_word(self) -> str:
        return (self.last_log_lines(1) or ["no word yet"])[0][:200]

    def _why_it_died(self) -> str:
        if self._stopping:
            return "the broker was stopped before it was ready"
        words = "\n".join(self.last_log_lines(300))
        if "Failed to acquire lock on file" in words:
            return str(self._folder.used_by(""))
        if "Address already in use" in words:
            ports = f"{self._node.port} or {self._node.controller_port}"
            return f"port {ports} was taken by another program while the broker started: set HOOKLINE_KAFKA_PORT to another port."
        if "No space left on device" in words:
            return f"the disk that holds {self._folder.path} is full: make room there, or {CHOOSE_ANOTHER}."
        code = self._process.returncode if self._process else None
        return f"the broker ended with code {code} before it was ready. Its last words in {self._folder.log}:\n{self._quote()}"

    def _quote(self) -> str:
        """The broker's last words without the depths of its stack traces."""
        lines = [line for line in self.last_log_lines(300) if not line.lstrip().startswith(("at ", "... "))]
        return "\n".join(f"    {line}" for line in lines[-15:])


def _environment() -> dict[str, str]:
    """Ours, without Hookline's settings: a broker needs no secret of ours (I11). The locale is for file names that are not ASCII."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")} | {
        "LC_ALL": "C.UTF-8"
    }
