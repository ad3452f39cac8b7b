"""The system's order: broker, topics, services; and back. Services are small scripts in real processes, the broker is a fake."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from hookline.cli.local.process import Child
from hookline.cli.local.system import LocalSystem
from hookline.cli.local.units import BrokerUnit, ServiceUnit
from hookline.errors import BrokerError, ProcessFailed, TopicsUnfit
from tests.kafka import free_broker_port
from tests.kit.clocks import QuickClock
from tests.kit.waiting import until

NAMES = ("ingress", "dispatcher", "callbacks", "console")

SERVICE = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

def stop(*_):
    with open(os.environ["ORDER"], "a") as file:
        file.write(os.environ["NAME"] + "\\n")
    sys.exit(0)

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"ok": true, "detail": ""}')

signal.signal(signal.SIGTERM, stop)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""


def shortened(seconds: float) -> float:
    """Pauses are next to nothing; of a minute three seconds are left, above what a script takes to start."""
    return seconds / 20 if seconds >= 30 else min(seconds, 0.02)


class FakeBroker:
    bootstrap_servers = "127.0.0.1:9092"

    def __init__(self, notes: list[str], problem: BrokerError | None = None) -> None:
        self.notes, self.problem, self.alive = notes, problem, False

    def start(self) -> None:
        if self.problem:
            raise self.problem
        self.notes.append("broker started")
        self.alive = True

    def stop(self) -> None:
        if self.alive:
            self.notes.append("broker stopped")
        self.alive = False

    def kill(self) -> None:
        self.alive = False

    def is_alive(self) -> bool:
        return self.alive

    def last_log_lines(self, count: int = 20) -> list[str]:
        return []


class Notes:
    """A Voice that remembers."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def is_waiting(self, unit: object, detail: str, for_s: float) -> None: ...

    def became_ready(self, unit: ServiceUnit, after_s: float) -> None:
        self.all.append(f"{unit.name} ready")

    def died(self, unit: ServiceUnit, how: str, pause_s: float) -> None:
        self.all.append(f"{unit.name} died: {how}")

    def topics_fit(self, done: object) -> None:
        self.all.append("topics fit")

    def given_up(self, unit: ServiceUnit, how: str, pause_s: float) -> None:
        self.all.append(f"{unit.name} given up: {how}")

    def all_ready(self, without: Sequence[str] = ()) -> None:
        self.all.append(f"ready without {', '.join(without)}" if without else "all ready")

    def stopping(self) -> None:
        self.all.append("stopping")

    def had_to_kill(self, name: str) -> None:
        self.all.append(f"{name} killed")

    def stopped(self) -> None:
        self.all.append("stopped")


class World:
    def __init__(self, tmp_path: Path, session: aiohttp.ClientSession) -> None:
        self.notes, self.stopping = Notes(), asyncio.Event()
        self.order, self._tmp_path, self._session = tmp_path / "order", tmp_path, session
        self.order.touch()
        self.mended = tmp_path / "mended"
        self.broker = FakeBroker(self.notes.all)
        self.services = [self.service(name) for name in NAMES]

    def service(self, name: str, script: str = SERVICE) -> ServiceUnit:
        port = free_broker_port()
        environment = {**os.environ, "NAME": name, "PORT": str(port), "ORDER": str(self.order)}
        child = Child(name, [sys.executable, "-c", script], environment, self._tmp_path / f"{name}.log")
        return ServiceUnit(child, self._session, f"http://127.0.0.1:{port}/readyz")

    async def topics(self) -> list[str]:
        self.notes.all.append("topics made")
        return []

    def run(self) -> "asyncio.Task[None]":
        self.system = LocalSystem(
            BrokerUnit(self.broker),
            lambda: self.topics(),
            self.services,
            QuickClock(shortened),
            self.notes,
            ("console",),
        )
        return asyncio.create_task(self.system.run(self.stopping))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with aiohttp.ClientSession() as session:
        world = World(tmp_path, session)
        yield world
        assert [service.child.pid for service in world.services] == [None] * len(world.services)


async def test_up_and_down_in_order(world: World) -> None:
    running = world.run()
    await until(lambda: "all ready" in world.notes.all)
    assert world.notes.all[:4] == ["broker started", "kafka ready", "topics made", "topics fit"]
    assert set(world.notes.all[4:-1]) == {f"{name} ready" for name in NAMES}
    world.stopping.set()
    await running
    assert world.order.read_text().split() == ["console", "ingress", "callbacks", "dispatcher"]
    assert world.notes.all[-3:] == ["stopping", "broker stopped", "stopped"]


async def test_who_dies_is_started_again_and_nobody_else(world: World) -> None:
    running = world.run()
    await until(lambda: "all ready" in world.notes.all)
    others = [service.child.pid for service in world.services[1:]]
    world.services[0].child.kill()
    await until(lambda: world.notes.all.count("ingress ready") == 2)
    assert "ingress died: killed by SIGKILL" in world.notes.all
    assert [service.child.pid for service in world.services[1:]] == others
    world.stopping.set()
    await running


async def test_a_broker_that_dies_is_started_again(world: World) -> None:
    running = world.run()
    await until(lambda: "all ready" in world.notes.all)
    world.broker.kill()
    await until(lambda: world.notes.all.count("kafka ready") == 2)
    world.stopping.set()
    await running


async def test_a_service_that_never_lives_ends_all_with_its_last_words(world: World) -> None:
    world.services[2] = world.service("callbacks", "import sys\nsys.exit('hookline: a setting is wrong')")
    with pytest.raises(ProcessFailed, match=r"(?s)callbacks.*a setting is wrong"):
        await world.run()
    assert world.notes.all[-1] == "stopped"


async def test_a_console_that_cannot_stay_up_leaves_the_rest_running_and_comes_back_by_itself(world: World) -> None:
    script = f"import os\nif not os.path.exists({str(world.mended)!r}): raise SystemExit('ForeignLog')\n{SERVICE}"
    world.services[3] = world.service("console", script)
    running = world.run()
    await until(lambda: "ready without console" in world.notes.all)
    await until(lambda: "console given up: exit code 1" in world.notes.all)
    others = [service.child.pid for service in world.services[:3]]
    assert all(others)
    world.mended.touch()
    await until(lambda: "console ready" in world.notes.all)
    assert [service.child.pid for service in world.services[:3]] == others
    assert world.notes.all.count("console given up: exit code 1") == 1, "said once"
    world.stopping.set()
    await running
    assert world.notes.all[-1] == "stopped"


async def test_a_console_that_cannot_stay_up_later_on_leaves_the_rest_running_too(world: World) -> None:
    script = f"import os\nif os.path.exists({str(world.mended)!r}): raise SystemExit('ForeignLog')\n{SERVICE}"
    world.services[3] = world.service("console", script)
    running = world.run()
    await until(lambda: "all ready" in world.notes.all)
    world.mended.touch()  # from now on it is broken
    world.services[3].child.kill()
    await until(lambda: "console given up: exit code 1" in world.notes.all)
    assert not running.done()
    world.services[0].child.kill()
    await until(lambda: world.notes.all.count("ingress ready") == 2)
    world.stopping.set()
    await running


async def test_a_console_that_lives_and_is_not_ready_does_not_hold_up_the_word_that_the_rest_is(world: World) -> None:
    world.services[3] = world.service("console", SERVICE.replace("send_response(200)", "send_response(503)"))
    running = world.run()
    await until(lambda: "ready without console" in world.notes.all)
    world.stopping.set()
    await running


async def test_a_broker_that_cannot_start(world: World) -> None:
    world.broker.problem = BrokerError("there is no Java")
    with pytest.raises(BrokerError, match="no Java"):
        await world.run()
    assert "topics made" not in world.notes.all


async def test_topics_that_do_not_fit(world: World) -> None:
    async def unfit() -> list[str]:
        raise TopicsUnfit("hookline.pushes has 3 partitions")

    world.topics = unfit  # type: ignore[method-assign]
    with pytest.raises(TopicsUnfit, match="3 partitions"):
        await world.run()
    assert world.notes.all[-2:] == ["broker stopped", "stopped"]


async def test_stop_while_it_still_starts(world: World) -> None:
    running = world.run()
    await until(lambda: "topics fit" in world.notes.all)
    world.stopping.set()
    await running
    assert world.notes.all[-1] == "stopped"


async def test_hurry_kills(world: World) -> None:
    deaf = SERVICE.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    world.services[3] = world.service("console", deaf)
    running = world.run()
    await until(lambda: "all ready" in world.notes.all)
    world.stopping.set()
    await until(lambda: "stopping" in world.notes.all)
    world.system.hurry()
    await running
    assert world.notes.all[-1] == "stopped"
