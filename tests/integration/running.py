"""`hookline up` and other commands as processes of a test: on free ports, with what they print, and their children."""

import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.kafka import free_broker_port
from tests.kit.waiting import wait_until

__all__ = ["HOOKLINE", "READY_S", "Command", "Up", "free_ports"]

HOOKLINE = [sys.executable, "-m", "hookline.cli"]
READY_S = 90.0
"""Two cores, many tests: generous, and only ever waited out by a failure."""
SETTINGS = ("KAFKA", "INGRESS", "CALLBACKS", "CONSOLE", "DISPATCHER")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def free_ports() -> dict[str, str]:
    """Port settings that are free now, each with its admin (or controller) port."""
    return {f"HOOKLINE_{name}_PORT": str(free_broker_port()) for name in SETTINGS}


def clean_environment(**more: str) -> dict[str, str]:
    """Ours, without settings that whoever runs the tests may have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_") or "CACHE" in name}
    return {**kept, **more}


class Command:
    """A command that runs, and the lines it has printed so far (both streams)."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], cwd: Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*HOOKLINE, *arguments],
            env=dict(environment),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(ANSI.sub("", line.rstrip("\n")))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until_line(self, pattern: str, within_s: float = READY_S) -> str:
        """The first line that matches, once it is there."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        def found_or_over() -> bool:
            if found() is None and self.process.poll() is not None:
                self._reader.join()
                assert found() is not None, f"it ended with {self.process.returncode} and said:\n{self.text}"
            return found() is not None

        try:
            wait_until(found_or_over, within_s)
        except AssertionError as error:
            raise AssertionError(f"no line like {pattern!r}: {error}; it said:\n{self.text}") from None
        line = found()
        assert line is not None
        return line

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = 60.0) -> int:
        """Its exit code, once it has ended and all it said was read."""
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        return code

    def children(self) -> dict[str, psutil.Process]:
        """Direct children by what `ps` shows them as: "ingress", ..., "kafka"."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:  # it has just died
                continue
            match = re.search(r"-m services\.(\w+)|(kafka)\.Kafka", line)
            if match:
                found[match[1] or match[2]] = child
        return found

    def end(self) -> None:
        """Whatever happened: gone, with all its descendants."""
        try:
            family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self.process.kill()
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()


class Up(Command):
    """`hookline up --data DIR`."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.ports = free_ports()
        self.environment = clean_environment(**(self.ports | settings))
        super().__init__("up", "--data", str(data), environment=self.environment, cwd=data.parent)

    @property
    def folder(self) -> dict[str, str]:
        """Where a command finds what this one keeps."""
        return {"HOOKLINE_DATA_DIR": str(self.data)}

    def port(self, name: str) -> int:
        return int(self.ports[f"HOOKLINE_{name.upper()}_PORT"])

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    def is_ready(self, service: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port(service) + 1000}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
