"""Rates of deliveries and of bytes, for each source and credential."""

import gzip
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from hookline.errors import TooMany
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.allowance import BURST_S, Allowance, Rates
from services.ingress.app import MAX_BODY
from services.ingress.credentials import Credentials
from tests.unit.ingress.conftest import BEARER, SECRETS, SOURCES, TOKEN, Ingress, running, shown

PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'
OTHER = "another-token-7c1f"
ONE, TWO = b"1", b"2"


def refused(source: str, reason: str) -> float:
    return REGISTRY.get_sample_value("hookline_ingress_refused_total", {"source": source, "reason": reason}) or 0.0


def test_deliveries() -> None:
    clock = ManualClock(0)
    allowance = Allowance(Rates(2, 1000), clock)
    for _ in range(2 * BURST_S):
        allowance.admit("a", ONE, 0)
    with pytest.raises(TooMany) as told:
        allowance.admit("a", ONE, 0)
    assert told.value.retry_after_s == 1
    allowance.admit("a", TWO, 0)
    allowance.admit("b", ONE, 0)
    clock.advance(0.5)
    allowance.admit("a", ONE, 0)
    with pytest.raises(TooMany):
        allowance.admit("a", ONE, 0)
    clock.advance(1000)
    for _ in range(2 * BURST_S):
        allowance.admit("a", ONE, 0)
    with pytest.raises(TooMany):
        allowance.admit("a", ONE, 0)


def test_bytes_beyond_what_is_left_are_owed() -> None:
    clock = ManualClock(0)
    allowance = Allowance(Rates(1000, 10), clock)
    allowance.admit("a", ONE, 10 * BURST_S - 1)
    allowance.admit("a", ONE, 10)
    allowance.charge("a", ONE, 21)
    with pytest.raises(TooMany) as told:
        allowance.admit("a", ONE, 0)
    assert told.value.retry_after_s == 4
    allowance.admit("a", TWO, 0)
    clock.advance(told.value.retry_after_s)
    allowance.admit("a", ONE, 0)


async def test_each_credential_of_each_source_has_its_own() -> None:
    before = refused("dockerhub", "rate")
    async with running(tokens=(TOKEN, OTHER), settings=Settings(ingress_rate=1)) as ingress:
        for _ in range(BURST_S):
            await ingress.deliver("dockerhub", PUSH)
        answer = await ingress.post("dockerhub", PUSH, BEARER)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert set(await answer.json()) == {"detail"}
        assert refused("dockerhub", "rate") - before == 1
        assert (await ingress.post("dockerhub", PUSH, {"Authorization": f"Bearer {OTHER}"})).status == 202
        assert (await ingress.post("quay", "{}", BEARER)).status == 202
        assert (await ingress.post("dockerhub", PUSH, {"Authorization": "Bearer wrong"})).status == 401
        ingress.clock.advance(1)
        await ingress.deliver("dockerhub", PUSH)
        assert len(ingress.pushes()) == BURST_S + 2


async def test_a_signature_counts_for_its_secret() -> None:
    before = refused("github", "rate")
    async with running(settings=Settings(ingress_rate=1)) as ingress:
        for _ in range(BURST_S):
            assert (await ingress.post("github", "{}", shown("github", "{}"))).status == 202
        assert (await ingress.post("github", "{}", shown("github", "{}"))).status == 429
        assert refused("github", "rate") - before == 1
        assert (await ingress.post("github", "{}", signed_with_the_older_one())).status == 202


def signed_with_the_older_one() -> dict[str, str]:
    return SOURCES["github"].present(b"{}", Credentials(secrets=(SECRETS["github"][1].encode(),)))


async def chunks() -> AsyncIterator[bytes]:
    yield BIG.encode()


BIG = PUSH.ljust(MAX_BODY)


@pytest.mark.parametrize("sent", ["as it is", "inflated", "in chunks"])
async def test_bytes_as_sent_or_inflated(sent: str) -> None:
    """Ten bodies fill it; what is refused is not read."""
    before = refused("dockerhub", "bytes")

    async def post(ingress: Ingress) -> int:
        match sent:
            case "as it is":
                answer = await ingress.post("dockerhub", BIG)
            case "inflated":
                headers = {**BEARER, "Content-Encoding": "gzip"}
                answer = await ingress.post("dockerhub", gzip.compress(BIG.encode()), headers)
            case _:
                url = "/events/dockerhub"
                answer = await ingress.client.post(url, data=chunks(), headers=BEARER)
        return answer.status

    async with running(settings=Settings(ingress_byte_rate=MAX_BODY)) as ingress:
        assert [await post(ingress) for _ in range(BURST_S + 1)] == [202] * BURST_S + [429]
        assert refused("dockerhub", "bytes") - before == 1
        assert len(ingress.pushes()) == BURST_S
