"""Refusals take turns: whoever has no credential waits for the next one, and nobody who has one does."""

import asyncio

import pytest

from services.ingress.turns import A_SECOND, AT_ONCE, LONGEST_S
from tests.unit.ingress.conftest import BEARER, Ingress
from tests.unit.ingress.raw import connect

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


async def test_whoever_is_still_sending_is_told_at_once(ingress: Ingress) -> None:
    """Else what is not read meanwhile fills the kernel's buffers."""
    await use_up(ingress)
    reader, writer = await connect(ingress)
    writer.write(REFUSED["a wrong credential"] + HEAD + b"Content-Length: 100000\r\n\r\nx")
    async with asyncio.timeout(10):
        assert b" 401 " in await reader.readline()
    writer.close()
