"""No bytes in any header, query, path or body field make callbacks answer 5xx or log a trace."""

from pathlib import Path

import pytest
from aiohttp import web

import hookline.web
import services.callbacks
from hookline.web.service import app_runner
from services.callbacks.app import make_app
from services.callbacks.body import LIMITS
from services.callbacks.gate import Gate
from tests.unit.callbacks.world import KEYS, REPOSITORY, DirectWriter, World
from tests.unit.web.hostile import Attack, attack, traces, wrong

CODE = [file for package in (services.callbacks, hookline.web) for file in Path(package.__path__[0]).rglob("*.py")]


async def test_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    chain = world.push()
    world.delivered(chain, 1)
    async with world.replica() as running:
        token = world.path(chain, 1).rstrip("/").rpartition("/")[2]
        app = make_app(KEYS, lambda: Gate(running.replica, DirectWriter(world.cluster)), world.clock)
        runner = app_runner(app, drain_s=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        good = {"repository": REPOSITORY, "name": "alpine", "token": token}
        fields = ["state", *LIMITS]
        seen = await attack(Attack(app, runner.addresses[0], CODE, good, fields=fields))
        await runner.cleanup()
    assert wrong(seen) == []
    assert traces(caplog) == []
