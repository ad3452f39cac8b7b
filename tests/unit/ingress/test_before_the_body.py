"""Credentials are judged before one byte of a body is read; where the body is what is signed, bodies share a budget."""

import asyncio
import base64

import pytest
from prometheus_client import REGISTRY

from hookline.settings import Settings
from services.ingress.app import MAX_BODY
from tests.kit.waiting import until
from tests.unit.ingress.conftest import SOURCES, TOKEN, Ingress, running, shown
from tests.unit.ingress.raw import connect

BODY_TO_COME = b"Content-Length: 1000000"
BASIC = base64.b64encode(b"anyone:wrong")
WRONG = {
    "none": [],
    "bearer": [b"Authorization: Bearer wrong"],
    "basic": [b"Authorization: Basic " + BASIC],
    "as it is": [b"Authorization: wrong"],
    "jwt": [b"Authorization: Bearer e30.e30.e30"],
    "api key": [b"X-Api-Key: wrong"],
    "no signature": [b"X-Hub-Signature-256: sha256=", b"X-Gitea-Signature: 0", b"X-Nexus-Webhook-Signature: x"],
}
SIGNED = b"X-Hub-Signature-256: sha256=" + b"0" * 64
BUDGET = 2 * MAX_BODY
PART = b"x" * (MAX_BODY - 100_000)
"""Two of them are within the budget, three are not."""


async def head_of_answer(ingress: Ingress, path: str, headers: list[bytes], body: bytes = b"") -> bytes:
    """Of a request whose body does not come whole."""
    reader, writer = await begin(ingress, path, headers, body)
    async with asyncio.timeout(10):  # a body is waited for longer
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


async def begin(
    ingress: Ingress, path: str, headers: list[bytes], body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connect(ingress)
    lines = [f"POST /events/{path} HTTP/1.1".encode(), b"Host: x", BODY_TO_COME, *headers]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    return reader, writer


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_credential_is_refused_with_no_byte_of_the_body_there(
    ingress: Ingress, source: str, wrong: str
) -> None:
    assert (await head_of_answer(ingress, source, WRONG[wrong])).startswith(b"HTTP/1.1 401")


async def test_a_wrong_token_in_the_query(ingress: Ingress) -> None:
    assert (await head_of_answer(ingress, "quay?token=wrong", [])).startswith(b"HTTP/1.1 401")


async def test_a_good_one_is_waited_for(ingress: Ingress) -> None:
    body = b'{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'.ljust(1_000_000)
    reader, writer = await begin(ingress, f"dockerhub?token={TOKEN}", [], body[:-1])
    await asyncio.sleep(0)
    writer.write(body[-1:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    writer.close()


def held() -> float:
    return REGISTRY.get_sample_value("hookline_ingress_unproven_bytes") or 0.0


def given_up() -> float:
    return (
        REGISTRY.get_sample_value("hookline_ingress_refused_total", {"source": "github", "reason": "in_flight"}) or 0.0
    )


async def test_signed_bodies_share_a_budget_and_the_oldest_makes_room() -> None:
    before = given_up()
    settings = Settings(ingress_bytes_in_flight=BUDGET)
    async with running(settings=settings) as ingress:
        connections = []
        for number in range(5):
            connections.append(await begin(ingress, "github", [SIGNED], PART))
            await until(lambda n=number: held() >= min(n + 1, 2) * len(PART) and given_up() - before >= n - 1)  # type: ignore[misc]
        assert held() <= BUDGET
        for reader, _ in connections[:3]:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"\r\nRetry-After: 1\r\n" in head
        assert given_up() - before == 3
        # Two hold all of it: a delivery in good faith is taken all the same.
        ping = b'{"zen": "Practicality beats purity."}'.ljust(MAX_BODY)
        answer = await ingress.post("github", ping, {"X-GitHub-Event": "ping", **shown("github", ping)})
        assert answer.status == 200
        for _, writer in connections:
            writer.close()
        await until(lambda: held() == 0)


async def test_bodies_behind_a_good_token_need_no_room() -> None:
    before = given_up()
    async with running(settings=Settings(ingress_bytes_in_flight=BUDGET)) as ingress:
        open_ones = [await begin(ingress, f"dockerhub?token={TOKEN}", [], PART) for _ in range(3)]
        answer = await ingress.post("dockerhub", "{}", {"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status, held(), given_up() - before) == (202, 0, 0)
        for _, writer in open_ones:
            writer.close()
