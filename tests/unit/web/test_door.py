"""The door of every app: what is no text is 400 with words before anything runs; answers name no version."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from hookline.web.door import FOREIGN_HEADERS
from hookline.web.health import Status, admin_app
from hookline.web.service import app_runner
from tests.unit.web.hostile import Seen, ask


@asynccontextmanager
async def behind_the_door(app: web.Application) -> AsyncIterator[tuple[str, int]]:
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


def counting(seen: list[str], *, foreign: bool = False) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(text="in")

    app = web.Application()
    app[FOREIGN_HEADERS] = foreign
    app.router.add_get("/{rest:.*}", handler)
    return app


async def get(address: tuple[str, int], target: bytes, *headers: bytes) -> Seen:
    lines = [b"GET " + target + b" HTTP/1.1", *([] if any(h.startswith(b"Host") for h in headers) else [b"Host: h"])]
    return await ask(address, b"\r\n".join([*lines, *headers, b"Connection: close", b"", b""]))


BAD = {
    "path, NUL": (b"/a%00b", b"", "The path must be UTF-8 without null characters."),
    "path, no UTF-8": (b"/%FF", b"", "The path must be UTF-8 without null characters."),
    "path, half a pair": (b"/%ed%a0%80", b"", "The path must be UTF-8 without null characters."),
    "query, NUL": (b"/?a=%00", b"", "The query must be UTF-8 without null characters."),
    "query, no UTF-8": (b"/?%fe=1", b"", "The query must be UTF-8 without null characters."),
    "Host, port too high": (b"/", b"Host: a:999999", "The Host header must be a host, or a host and a port."),
    "Host, port no number": (b"/", b"Host: a:b", "The Host header must be a host, or a host and a port."),
    "Host, no text": (b"/", b"Host: \xff", "The Host header must be a host, or a host and a port."),
    "Host, half an address": (b"/", b"Host: [::1", "The Host header must be a host, or a host and a port."),
    "Authorization": (b"/", b"Authorization: JWT \xff", "The header Authorization must be UTF-8."),
    "Idempotency-Key": (b"/", b"Idempotency-Key: \xff", "The header Idempotency-Key must be UTF-8."),
    "Expect": (b"/", b"Expect: \xff", "The header Expect must be UTF-8."),
}


@pytest.mark.parametrize(("target", "header", "said"), BAD.values(), ids=BAD)
async def test_what_is_no_text_gets_no_further(target: bytes, header: bytes, said: str) -> None:
    seen: list[str] = []
    async with behind_the_door(counting(seen)) as address:
        answer = await get(address, target, *([header] if header else []))
    assert (answer.status, json.loads(answer.body), seen) == (400, {"detail": said}, [])


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/a/%C3%BC/%25FF", ()),
        (b"/?q=%E2%82%AC+%25", ()),
        (b"/", (b"Host: [::1]:8080",)),
        (b"/", (b"Host: a_b.example",)),
        (b"/", (b"Host: h", b"User-Agent: \xff", b"Cookie: of_another_site=\xff", b"X-Remote-User: J\xfcrgen")),
    ],
)
async def test_all_else_gets_in_whatever_headers_hold_that_nobody_reads(
    target: bytes, headers: tuple[bytes, ...]
) -> None:
    seen: list[str] = []
    async with behind_the_door(counting(seen)) as address:
        assert (await get(address, target, *headers)).status == 200
    assert len(seen) == 1


async def test_an_app_may_take_headers_as_bytes_but_for_those_that_aiohttp_reads() -> None:
    seen: list[str] = []
    async with behind_the_door(counting(seen, foreign=True)) as address:
        assert (await get(address, b"/", b"Authorization: \xff")).status == 200
        assert (await get(address, b"/", b"Expect: \xff")).status == 400
    assert len(seen) == 1


@pytest.mark.parametrize("target", [b"/", b"/%00", b"\xff", b"/livez", b"/metrics", b"/none"])
async def test_no_answer_names_a_version(target: bytes) -> None:
    ok = Status(True, "")
    for app in (counting([]), admin_app(lambda: ok, lambda: ok)):
        async with behind_the_door(app) as address:
            answer = await get(address, target)
        assert b"\r\nServer: hookline" in answer.head
        assert b"aiohttp" not in answer.head.lower() + answer.body.lower()
        assert b"python/" not in answer.head.lower()


@pytest.mark.parametrize(
    "document", sorted((Path(__file__).parents[3] / "docs" / "openapi").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_operation_says_that_the_door_answers_400(document: Path) -> None:
    paths = yaml.safe_load(document.read_text())["paths"]
    operations = [
        (method, path, operation["responses"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    assert operations
    assert [(method, path) for method, path, responses in operations if "400" not in responses] == []
