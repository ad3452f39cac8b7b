"""No bytes in any header, query, path or body make ingress or callbacks or an admin port answer 5xx or log a trace."""

from pathlib import Path

import pytest
from aiohttp import web

import hookline.web
import services.ingress
from hookline.clock import SystemClock
from hookline.web.health import Status, admin_app
from hookline.web.service import app_runner
from tests.unit.ingress.conftest import TOKEN, running
from tests.unit.web.hostile import Attack, attack, traces, wrong

CODE = [file for package in (services.ingress, hookline.web) for file in Path(package.__path__[0]).rglob("*.py")]
SOME = ("cloudevents", "distribution", "dockerhub", "gar", "github", "jfrog")
"""Every way of a credential, and of an envelope."""


@pytest.mark.parametrize("source", SOME)
async def test_ingress(source: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(goes=SystemClock()) as ingress:  # more are refused than are told at once
        headers = {"Authorization": f"Bearer {TOKEN}"}
        seen = await attack(Attack(ingress.app, ingress.address, CODE, {"source": source}, headers))
    assert wrong(seen) == []
    assert traces(caplog) == []


async def test_the_admin_port(caplog: pytest.LogCaptureFixture) -> None:
    app = admin_app(lambda: Status(True, ""), lambda: Status(True, ""))
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    seen = await attack(Attack(app, runner.addresses[0], CODE, {}))
    await runner.cleanup()
    assert wrong(seen) == []
    assert traces(caplog) == []
