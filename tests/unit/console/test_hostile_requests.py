"""No bytes in any header, query, cookie, path or body field make the console answer 5xx or log a trace; on both databases."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

import hookline.web
import services.console
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from hookline.web.door import READ_HEADERS
from services.console.forms import PIPELINE_FORM, HookForm
from services.console.metrics import LOGINS_WAITING
from tests.metric_values import value_of
from tests.unit.console.running import Running, running
from tests.unit.console_pages.world import World, seed
from tests.unit.web.hostile import Attack, ask, asked_for, attack, traces, wrong

PORT = 4711

SOURCES = [file for package in (services.console, hookline.web) for file in Path(package.__path__[0]).rglob("*.py")]


def plan(console: Running, world: World | None) -> Attack:
    return Attack(
        console.app,
        console.address,
        SOURCES,
        {
            "ns": "acme",
            "repo": "shop",
            "slug": "release",
            "repository": "acme/shop",
            "pipeline_id": world.pipelines["shop"] if world else "x",
            "chain_id": str(world.chains["retrying"]) if world else "x",
            "hook_id": "x",
            "name": "console.css",
        },
        signed_in(console) if world else {},
        b"token=" + hmac.digest(console.token.encode(), b"hookline form", sha256).hex().encode() + b"&",
        [*PIPELINE_FORM.model_fields, *HookForm.model_fields],
    )


@asynccontextmanager
async def logins_get_their_turn(clock: ManualClock) -> AsyncIterator[None]:
    """The attack has wrong passwords in it, which wait longer and longer."""

    async def pass_time() -> None:
        while True:
            await asyncio.sleep(0.01)
            if value_of(LOGINS_WAITING):
                clock.advance(1)

    task = asyncio.create_task(pass_time())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def signed_in(console: Running) -> dict[str, str]:
    cookie = f"hookline_session_{PORT}={console.token}"
    return {"Authorization": f"JWT {console.token}", "Cookie": cookie, "Host": f"127.0.0.1:{PORT}"}


async def test_nobody_signed_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path, late_s=0) as console, logins_get_their_turn(console.clock):
        seen = await attack(plan(console, None))
    assert wrong(seen) == []
    assert traces(caplog) == []


async def test_signed_in(database_settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = {"database_url": database_settings.database_url}
    async with running(tmp_path, settings=kept, late_s=0) as console:
        async with logins_get_their_turn(console.clock):
            seen = await attack(plan(console, await seed(console)))
        await console.projected()
        assert console.projector.progress.current
    assert wrong(seen) == []
    assert traces(caplog) == []


async def test_a_session_cookie_of_odd_bytes_is_no_session(tmp_path: Path) -> None:
    async with running(tmp_path, late_s=0) as console:
        head = b"GET / HTTP/1.1\r\nHost: h:%d\r\nCookie: hookline_session_%d=" % (PORT, PORT)
        for value in (b"\xff", b"a.\xff.b", b"\xc3\xbc.\xc3\xbc.\xc3\xbc"):
            assert (await ask(console.address, head + value + b"\r\n\r\n")).status == 303


@pytest.mark.parametrize("body", [b'{"username":"\\ud800","password":"x"}', b'{"username":"a\\u0000","password":"x"}'])
async def test_a_body_that_is_no_text_is_400_in_words(body: bytes, tmp_path: Path) -> None:
    async with running(tmp_path, late_s=0) as console:
        head = b"POST /v2/users/login HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = await ask(console.address, head + body)
    assert answer.status == 400
    assert b"half of a surrogate pair" in answer.body


def test_the_door_knows_every_header_that_the_console_reads() -> None:
    read = {name.lower() for name in asked_for(SOURCES)["headers"]}
    assert "idempotency-key" in read
    assert read - READ_HEADERS == set()
