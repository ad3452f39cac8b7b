"""A UTF-8 BOM in front of JSON: PowerShell and .NET send it, and RFC 8259 (8.1) lets a reader ignore it. Every source does."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from services.ingress.issuers import parse_keys
from services.ingress.reading import parse_json
from tests.unit.ingress.conftest import Ingress, distribution_request, dockerhub_files
from tests.unit.ingress.test_issuers import KEYS
from tests.unit.ingress.test_producers import FILES, SEVERAL, STARTS

BOM = b"\xef\xbb\xbf"
ACCEPTED = {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}


async def deliver(ingress: Ingress, source: str, body: bytes, headers: dict[str, str]) -> dict[str, int]:
    return await ingress.deliver(source, BOM + body, headers)


@pytest.mark.parametrize("name", [*STARTS, *sorted(SEVERAL)])
async def test_a_push_with_it_is_the_push_without_it(ingress: Ingress, name: str) -> None:
    file = FILES[name]
    body = json.dumps(file["body"]).encode()
    tally = await deliver(ingress, file["source"], body, file["headers"])
    assert tally["accepted"] == len(ingress.pushes()) > 0
    with_it = [push.payload for push in ingress.pushes()]
    await ingress.deliver(file["source"], body, file["headers"])
    all_payloads = [push.payload for push in ingress.pushes()]
    for payload in with_it:
        all_payloads.remove(payload)
    assert all(payload in with_it for payload in all_payloads)
    assert not any("not JSON:" in kept.reason for kept in ingress.quarantine())


@pytest.mark.parametrize("file", dockerhub_files()[:1])
async def test_docker_hubs_hooks_get_the_body_without_it(ingress: Ingress, file: Any) -> None:
    assert await deliver(ingress, "dockerhub", file.read_bytes(), {}) == ACCEPTED
    (push,) = ingress.pushes()
    assert push.raw.encode() == BOM + file.read_bytes(), "kept as it came"
    assert push.payload["push_data"]


async def test_distributions_envelopes(ingress: Ingress) -> None:
    body, headers = distribution_request("v3.1.1-push-index-tag")
    tally = await ingress.deliver("distribution", body.encode(), headers)
    again = await deliver(ingress, "distribution", body.encode(), headers)
    assert again == {"accepted": 0, "duplicates": tally["accepted"], "ignored": tally["ignored"], "quarantined": 0}


async def test_it_may_stand_in_a_form_and_in_base64(ingress: Ingress) -> None:
    file = FILES["github-package"]
    body = urlencode({"payload": BOM.decode() + json.dumps(file["body"])})
    headers = {**file["headers"], "Content-Type": "application/x-www-form-urlencoded"}
    assert await ingress.deliver(file["source"], body, headers) == ACCEPTED
    file = FILES["gar-insert-tag"]
    message = dict(file["body"]["message"])
    message["data"] = base64.b64encode(BOM + base64.b64decode(message["data"])).decode()
    assert await ingress.deliver("gar", json.dumps({"message": message}), file["headers"]) == ACCEPTED


async def test_what_is_kept_with_it_can_be_read_again(ingress: Ingress) -> None:
    file = FILES["harbor-push"]
    await deliver(ingress, "harbor", json.dumps(file["body"]).encode(), file["headers"])
    (push,) = ingress.pushes()
    again = {"Content-Type": "", **push.headers, **ingress.credential("harbor", push.raw)}
    assert (await ingress.deliver("harbor", push.raw, again))["duplicates"] == 1


def test_one_is_ignored_and_no_more() -> None:
    assert parse_json(BOM + b"{}") == {}
    for body in (BOM + BOM + b"{}", b"{" + BOM + b"}", b" " + BOM + b"{}"):
        with pytest.raises(Exception, match="not JSON"):
            parse_json(body)


def test_keys_of_an_issuer() -> None:
    assert set(parse_keys(BOM + KEYS)) == set(parse_keys(KEYS))
