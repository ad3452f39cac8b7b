"""The container that `HOOKLINE_KAFKA=docker` runs: its definition, and what of it reaches the engine (which is faked here)."""

import builtins
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hookline.broker import choose_broker
from hookline.broker.config import Node
from hookline.broker.container import ContainerBroker, definition
from hookline.broker.server import EmbeddedBroker
from hookline.errors import BrokerError
from tests.kafka import free_broker_port


class FakeEngine:
    """Stands for docker-py's client: remembers the container it is asked to create, which ends at once."""

    def __init__(self, leftover: bool = False) -> None:
        from docker.errors import NotFound  # type: ignore[import-untyped]

        self.created: dict[str, Any] = {}
        self.removed: list[str] = []
        self._leftover, self._not_found = leftover, NotFound
        self.containers = self.images = self.api = self
        self.headers: dict[str, str] = {}
        self.id = self.short_id = "c1"
        self.status = "exited"

    def get(self, name: str) -> "FakeEngine":
        if name.startswith("hookline-kafka-") and not self._leftover:
            raise self._not_found(name)
        return self

    def create(self, image: str, **definition: Any) -> "FakeEngine":
        self.created = {"image": image, **definition}
        return self

    def logs(self, **_: object) -> bytes:
        return b"java: not today\n"

    def remove(self, force: bool = False, v: bool = False) -> None:
        self.removed.append("with its volumes" if v else "leftover")

    def start(self) -> None: ...

    def reload(self) -> None: ...

    def stop(self, timeout: int = 0) -> None: ...

    def close(self) -> None: ...

    @property
    def client(self) -> "FakeEngine":
        return self


def run_on(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[int, str]:
    """Start a broker on the faked engine; its port, and the words with which it gives up."""
    monkeypatch.setattr("docker.from_env", lambda **_: engine)
    monkeypatch.setenv("DOCKER_HOST", "unix:///faked")
    port = free_broker_port()
    with pytest.raises(BrokerError) as caught:
        ContainerBroker(folder, port).start()
    return port, str(caught.value)


def test_only_the_clients_port_is_published_and_on_loopback_alone() -> None:
    what = definition(Node(9092), Path("/home/x/kafka"), "abc")
    assert what.image == "apache/kafka:4.3.1"
    assert what.ports == {"9092/tcp": ("127.0.0.1", 9092)}
    assert what.volumes == {"/home/x/kafka": "/hookline"}
    assert what.name == "hookline-kafka-abc"
    assert what.user == f"{os.getuid()}:{os.getgid()}"


def test_the_engine_is_asked_for_just_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = FakeEngine()
    port, said = run_on(engine, monkeypatch, tmp_path)
    asked = engine.created
    assert asked["image"] == "apache/kafka:4.3.1"
    assert asked["ports"] == {f"{port}/tcp": ("127.0.0.1", port)}
    assert asked["volumes"] == {str(tmp_path): {"bind": "/hookline", "mode": "rw"}}
    assert asked["user"] == f"{os.getuid()}:{os.getgid()}"
    assert asked["working_dir"] == "/hookline"
    assert asked["command"][:3] == ["sh", "-e", "-c"]
    assert not {"network_mode", "privileged"} & asked.keys()
    assert "ended before it was ready" in said
    assert "java: not today" in said
    assert engine.removed == ["with its volumes"]


def test_inside_clients_are_told_the_loopback_address_and_the_controller_keeps_to_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, _ = run_on(FakeEngine(), monkeypatch, tmp_path)
    lines = (tmp_path / "server.properties").read_text().splitlines()
    assert f"listeners=CLIENTS://0.0.0.0:{port},CONTROLLER://127.0.0.1:{port + 1000}" in lines
    assert f"advertised.listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1000}" in lines
    assert "log.dirs=data" in lines


def test_a_container_that_a_killed_run_left_is_removed_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = FakeEngine(leftover=True)
    run_on(engine, monkeypatch, tmp_path)
    assert engine.removed == ["leftover", "with its volumes"]


def test_its_script_formats_once_and_then_starts(tmp_path: Path) -> None:
    """The script runs for real, on stand-ins for the image's two programs."""
    kafka = tmp_path / "bin"
    kafka.mkdir()
    storage = 'grep "^log.dirs" format.properties >> did; mkdir data.new; touch data.new/meta.properties; echo "format $*" >> did'
    for name, does in (("kafka-storage.sh", storage), ("kafka-server-start.sh", 'echo "start $*" >> did')):
        (kafka / name).write_text(f"#!/bin/sh\n{does}\n")
        (kafka / name).chmod(0o755)
    inside = tmp_path / "hookline"
    inside.mkdir()
    (inside / "server.properties").write_text("log.dirs=data\n")
    what = definition(Node(9092), inside, "abc")
    command = [part.replace("/opt/kafka/bin", str(kafka)) for part in what.command]
    for _ in range(2):
        subprocess.run(command, cwd=inside, env={**what.environment, "PATH": os.environ["PATH"]}, check=True)
    assert (inside / "did").read_text().splitlines() == [
        "log.dirs=data.new",
        "format format --cluster-id abc --config format.properties --standalone",
        "start server.properties",
        "start server.properties",
    ]
    assert (inside / "data" / "meta.properties").exists()


def test_no_engine_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    with pytest.raises(
        BrokerError, match=r"HOOKLINE_KAFKA=docker, but the Docker engine fails: .*unset HOOKLINE_KAFKA"
    ):
        ContainerBroker(tmp_path, free_broker_port()).start()


def test_no_testcontainers_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("testcontainers"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        BrokerError,
        match=r"HOOKLINE_KAFKA=docker needs testcontainers: `pip install testcontainers`, or unset HOOKLINE_KAFKA",
    ):
        ContainerBroker(tmp_path, free_broker_port()).start()


def test_the_setting_chooses(tmp_path: Path) -> None:
    assert isinstance(choose_broker("docker", tmp_path, 9092, login=None), ContainerBroker)
    assert isinstance(choose_broker("", tmp_path, 9092, login=None), EmbeddedBroker)
