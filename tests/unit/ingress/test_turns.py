"""Whoever has proved nothing takes turns, with being refused and with a large body that must be read; nobody else waits."""

import asyncio
import json

import pytest
from aiohttp import ClientSession, web

from hookline.clock import ManualClock
from services.ingress.app import LARGE
from services.ingress.turns import LARGE_BODIES, LONGEST_S, REFUSALS, Turns
from tests.unit.ingress.conftest import BEARER, Ingress, shown
from tests.unit.ingress.raw import connect
from tests.unit.web.test_door import behind_the_door

A_SECOND, AT_ONCE = REFUSALS
PUSH = '{"push_data":{"tag":"%d"},"repository":{"repo_name":"acme/app"}}'
REFUSED = {
    "a wrong credential": b"POST /events/dockerhub",
    "an unknown source": b"POST /events/nothing",
    "a handshake": b"OPTIONS /events/acr",
    "a signature": b"POST /events/github",
}
HEAD = b" HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n"


class Asking:
    """A request that is to be refused, on a connection of its own."""

    def __init__(self, ingress: Ingress, what: bytes) -> None:
        self._task = asyncio.create_task(self._ask(ingress, what))

    @property
    def is_answered(self) -> bool:
        return self._task.done()

    async def status(self) -> int:
        async with asyncio.timeout(10):
            return await self._task

    async def _ask(self, ingress: Ingress, what: bytes) -> int:
        reader, writer = await connect(ingress)
        writer.write(what + HEAD + b"Content-Length: 1\r\n\r\nx")
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])


async def use_up(ingress: Ingress) -> None:
    """All that are told at once."""
    for _ in range(AT_ONCE):
        assert await Asking(ingress, REFUSED["a wrong credential"]).status() == 401


async def good_pushes(ingress: Ingress, count: int) -> None:
    for number in range(count):
        assert (await ingress.post("dockerhub", PUSH % number, BEARER)).status == 202


@pytest.mark.parametrize("what", REFUSED.values(), ids=REFUSED)
async def test_one_waits_for_its_turn_and_a_good_one_does_not(ingress: Ingress, what: bytes) -> None:
    await use_up(ingress)
    asking = Asking(ingress, what)
    await good_pushes(ingress, 20)
    assert not asking.is_answered
    ingress.clock.advance(2 / A_SECOND)
    assert await asking.status() in (401, 404)


async def test_turns_come_back_with_time(ingress: Ingress) -> None:
    await use_up(ingress)
    ingress.clock.advance(AT_ONCE / A_SECOND)
    await use_up(ingress)


async def test_none_waits_longer_than_that(ingress: Ingress) -> None:
    await use_up(ingress)
    many = [Asking(ingress, REFUSED["a wrong credential"]) for _ in range(2 * int(LONGEST_S * A_SECOND))]
    await good_pushes(ingress, 20)
    while not all(asking.is_answered for asking in many):
        ingress.clock.advance(LONGEST_S)
        await good_pushes(ingress, 1)
    assert {await asking.status() for asking in many} == {401}
    ingress.clock.advance(LONGEST_S + 1 / A_SECOND)
    assert await Asking(ingress, REFUSED["a wrong credential"]).status() == 401


async def test_nothing_of_a_body_is_taken_while_its_refusal_waits() -> None:
    clock, taken = ManualClock(), [0]

    async def refuse(request: web.Request) -> web.Response:
        await refusals.turn(request)
        taken.append(request.content.total_bytes)
        return web.Response(status=401)

    async def ping(request: web.Request) -> web.Response:
        return web.Response()

    refusals, app = Turns(REFUSALS, clock), web.Application()
    app.router.add_post("/", refuse)
    app.router.add_get("/", ping)
    async with behind_the_door(app) as address:
        url = f"http://{address[0]}:{address[1]}/"
        async with ClientSession() as http:
            for _ in range(AT_ONCE):
                async with http.post(url, data=b"") as answer:
                    assert answer.status == 401
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            async with http.get(url):
                writer.write(b"x" * 100_000)
                await writer.drain()
            for _ in range(20):  # so often it looks at its connections
                async with http.get(url):
                    pass
            clock.advance(2 / A_SECOND)
            assert b" 401 " in await reader.readline()
            writer.close()
    assert len(taken) == AT_ONCE + 2
    assert set(taken) == {0}


async def test_large_bodies_that_must_be_read_take_turns_and_small_ones_do_not(ingress: Ingress) -> None:
    """The others are of GitHub's size."""
    large = json.dumps({"action": "none", "x": "x" * LARGE})

    async def deliver(body: str) -> int:
        return (await ingress.post("github", body, shown("github", body))).status

    for _ in range(LARGE_BODIES.at_once):
        assert await deliver(large) == 202
    waiting = asyncio.create_task(deliver(large))
    for _ in range(20):
        assert await deliver("{}") == 202
    await good_pushes(ingress, 20)
    assert not waiting.done()
    ingress.clock.advance(2 / LARGE_BODIES.a_second)
    assert await waiting == 202
