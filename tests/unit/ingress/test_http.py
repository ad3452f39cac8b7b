"""The HTTP of ingress: credentials, limits, encodings, and what it answers when Kafka does not (design section 6)."""

import asyncio
import base64
import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator
from unittest.mock import ANY

import pytest
from aiohttp import encode_basic_auth
from structlog.testing import capture_logs

from hookline.errors import AppendFailed
from hookline.log.records import Place, Topic
from services.ingress.app import MAX_BODY
from services.ingress.intake import MAX_RECORD
from services.ingress.metrics import TOO_LARGE
from services.ingress.sources import discover
from tests.configured_logging import configured_logging
from tests.metric_values import value_of
from tests.unit.ingress.conftest import BEARER, TOKEN, Ingress, hook, pipeline, running
from tests.unit.ingress.raw import answer_to, connect

PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'
ACCEPTED = {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}
QUARANTINED = {"accepted": 0, "duplicates": 0, "ignored": 0, "quarantined": 1, "reason": ANY}


def padded(size: int) -> str:
    """A push of exactly that many bytes."""
    return PUSH.replace('"v1"', '"v1","x":"' + "x" * (size - len(PUSH) - 7) + '"')


# Credentials


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, ""),
        ({"Authorization": f"bearer  {TOKEN}"}, ""),
        ({"Authorization": encode_basic_auth("anyone", TOKEN)}, ""),
        ({"Authorization": encode_basic_auth("", TOKEN)}, ""),
        ({}, f"?token={TOKEN}"),
        ({}, f"?x=1&token=wrong&token={TOKEN}"),
        ({"Authorization": "Bearer wrong"}, f"?token={TOKEN}"),
    ],
)
async def test_a_good_credential(ingress: Ingress, headers: dict[str, str], query: str) -> None:
    answer = await ingress.post("dockerhub", PUSH, headers, query)
    assert (answer.status, await answer.json()) == (202, ACCEPTED)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": ""}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": f"Bearer {TOKEN}x"}, ""),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, ""),
        ({"Authorization": f"Token {TOKEN}"}, ""),
        ({"Authorization": TOKEN}, ""),
        ({"Authorization": encode_basic_auth(TOKEN, "")}, ""),
        ({"Authorization": "Basic !!!"}, ""),
        ({"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()}, ""),
        ({}, "?token="),
        ({}, "?token=%25FF"),
        ({}, f"?Token={TOKEN}"),
        ({"X-Token": TOKEN}, ""),
    ],
)
async def test_a_bad_credential(ingress: Ingress, headers: dict[str, str], query: str) -> None:
    answer = await ingress.post("dockerhub", PUSH, headers, query)
    assert (answer.status, await answer.json()) == (401, {"detail": "the credential is missing or wrong"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer, Basic realm="hookline"'
    assert not ingress.pushes()
    assert not ingress.quarantine()


async def test_two_tokens_allow_rotation() -> None:
    async with running(tokens=("old", "new")) as ingress:
        for token in ("old", "new"):
            assert (await ingress.post("dockerhub", PUSH, {}, f"?token={token}")).status == 202


async def test_without_any_token_a_source_is_not_configured() -> None:
    async with running(tokens=()) as ingress:
        answer = await ingress.post("dockerhub", PUSH)
        assert answer.status == 404
        assert (await answer.json())["detail"].startswith("source not configured: set HOOKLINE_INGRESS_TOKENS ")
        assert not ingress.pushes()


async def test_an_unknown_source(ingress: Ingress) -> None:
    answer = await ingress.post("nexus9", PUSH)
    assert (answer.status, await answer.json()) == (
        404,
        {"detail": f"unknown source; there are: {', '.join(discover())}"},
    )


@pytest.mark.parametrize("path", ["/", "/events", "/events/", "/events/dockerhub/x", "/events/dockerhub//"])
async def test_other_paths_are_not_found_and_never_redirected(ingress: Ingress, path: str) -> None:
    answer = await ingress.client.post(path, data=PUSH, headers=BEARER, allow_redirects=False)
    assert answer.status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods(ingress: Ingress, method: str) -> None:
    answer = await ingress.client.request(method, "/events/dockerhub", headers=BEARER, allow_redirects=False)
    assert answer.status == 405
    assert "POST" in answer.headers["Allow"]


# Bodies


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":1} x', "not JSON"),
        (b'{"repository":{"repo_name":"a/b"},"x":NaN}', "not JSON"),
        (b'{"repository":{"repo_name":"a/b"},"x":-Infinity}', "not JSON"),
        (b'{"repository":{"repo_name":"a/b"},"x":1e400}', "a number is too large"),
        (b'{"repository":{"repo_name":"a/b"},"x":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"repository":{"repo_name":"a/\xff"}}', "not JSON"),
        (b'{"repository":{"repo_name":"a/\\ud800"}}', "not JSON"),
        ('{"repository":{"repo_name":"a/b"}}'.encode("utf-16"), "not JSON"),
        (b"\x00" * MAX_BODY, "not JSON"),
        (b"\\" * MAX_BODY, "not JSON"),
        (b'"' * MAX_BODY, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"x":' + b"[" * 101 + b"]" * 101 + b"}", "nested more than 100 levels deep"),
        (b'{"repository":{"repo_name":"a/b"},"x":[' + b"[]," * 50_000 + b"1]}", "more than 50000 values"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_a_body_that_cannot_be_read_is_quarantined(ingress: Ingress, body: bytes, reason: str) -> None:
    assert await ingress.deliver("dockerhub", body) == QUARANTINED
    (kept,) = ingress.quarantine()
    assert kept.reason.startswith(reason)
    assert not ingress.pushes()
    raw = kept.raw.encode() if kept.raw_encoding == "utf-8" else base64.b64decode(kept.raw)
    assert raw == body
    (record,) = ingress.cluster.log(Place(Topic.QUARANTINE, 0))
    assert len(record.value or b"") <= MAX_RECORD


async def test_99_levels_are_fine_and_can_be_read_again(ingress: Ingress) -> None:
    body = PUSH[:-1] + ',"x":' + "[" * 99 + "]" * 99 + "}"
    assert await ingress.deliver("dockerhub", body) == ACCEPTED
    assert len(ingress.pushes()) == 1


async def test_a_huge_integer_is_kept(ingress: Ingress) -> None:
    body = PUSH[:-1] + ',"x":' + "9" * 4000 + "}"
    assert await ingress.deliver("dockerhub", body) == ACCEPTED
    assert ingress.pushes()[0].payload["x"] == int("9" * 4000)


async def test_the_limit_is_one_mebibyte(ingress: Ingress) -> None:
    assert (await ingress.post("dockerhub", padded(MAX_BODY))).status == 202
    answer = await ingress.post("dockerhub", padded(MAX_BODY + 1))
    assert answer.status == 413
    assert "detail" in await answer.json()
    assert len(ingress.pushes()) == 1


async def test_the_limit_holds_for_a_body_of_unknown_length(ingress: Ingress) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    answer = await ingress.client.post("/events/dockerhub", data=chunks(), headers=BEARER)
    assert answer.status == 413


async def test_a_record_beyond_kafkas_limit_is_quarantined(ingress: Ingress) -> None:
    """Quotes and plans make a record of four times a body that is under the limit."""
    hooks = tuple(hook(f"h{n}", url="https://receiver.test/" + "x" * 2000) for n in range(20))
    for n in range(30):
        ingress.set_pipeline(pipeline("acme/app", name=f"p{n}", hooks=hooks))
    body = PUSH[:-1] + ',"x":"' + '\\"' * 520_000 + '"}'
    assert len(body) < MAX_BODY
    before = value_of(TOO_LARGE.labels("dockerhub"))
    assert await ingress.deliver("dockerhub", body) == QUARANTINED
    assert value_of(TOO_LARGE.labels("dockerhub")) == before + 1
    (kept,) = ingress.quarantine()
    assert kept.reason == "too large for one record, with its payload and plans"
    assert kept.raw == body
    # It is their sum: each alone is fine.
    assert await ingress.deliver("dockerhub", PUSH) == ACCEPTED
    assert await ingress.deliver("dockerhub", body.replace("acme/app", "acme/other")) == ACCEPTED
    assert value_of(TOO_LARGE.labels("dockerhub")) == before + 1


# Encodings


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(PUSH.encode(), mtime=0)),
        ("GZIP", gzip.compress(PUSH.encode(), mtime=0)),
        ("x-gzip", gzip.compress(PUSH.encode(), mtime=0)),
        ("deflate", zlib.compress(PUSH.encode())),
        ("identity", PUSH.encode()),
        ("", PUSH.encode()),
    ],
)
async def test_compressed_bodies(ingress: Ingress, encoding: str, packed: bytes) -> None:
    assert await ingress.deliver("dockerhub", packed, {"Content-Encoding": encoding}) == ACCEPTED
    (push,) = ingress.pushes()
    assert push.raw == PUSH
    assert "content-encoding" not in push.headers
    # It is the same push, however it was packed.
    assert (await ingress.deliver("dockerhub", PUSH))["duplicates"] == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PUSH.encode()),
        ("gzip", b""),
        ("gzip", gzip.compress(PUSH.encode(), mtime=0)[:-4]),
        ("gzip", gzip.compress(PUSH.encode(), mtime=0) + b"more"),
        ("gzip", gzip.compress(b"", mtime=0) * 40_000),
        ("br", PUSH.encode()),
        ("gzip, gzip", gzip.compress(gzip.compress(PUSH.encode(), mtime=0), mtime=0)),
    ],
)
async def test_a_body_that_cannot_be_inflated_is_quarantined_as_it_was_sent(
    ingress: Ingress, encoding: str, body: bytes
) -> None:
    assert await ingress.deliver("dockerhub", body, {"Content-Encoding": encoding}) == QUARANTINED
    (kept,) = ingress.quarantine()
    assert kept.headers["content-encoding"] == encoding
    assert (kept.raw.encode() if kept.raw_encoding == "utf-8" else base64.b64decode(kept.raw)) == body


async def test_a_bomb_is_refused_and_costs_no_memory(ingress: Ingress) -> None:
    import tracemalloc

    bomb = gzip.compress(b"\x00" * (200 * MAX_BODY), 9, mtime=0)
    assert len(bomb) < MAX_BODY
    tracemalloc.start()
    answer = await ingress.post("dockerhub", bomb, {**BEARER, "Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status == 413
    assert peak < 8 * MAX_BODY


# What is kept


async def test_no_credential_is_kept_anywhere(ingress: Ingress, caplog: pytest.LogCaptureFixture) -> None:
    headers = {
        "Authorization": "Bearer marked-bearer",
        "Cookie": "session=marked-cookie",
        "X-Api-Key": "marked-key",
        "Referer": f"http://ingress.test/events/dockerhub?token={TOKEN}",
        "X-Request-Id": "request-7",
        "User-Agent": "Hub/1",
        "Content-Type": "application/json",
    }
    with capture_logs() as lines, caplog.at_level(logging.DEBUG):
        assert (await ingress.post("dockerhub", PUSH, headers, f"?token={TOKEN}")).status == 202
        assert (await ingress.post("dockerhub", "{", headers, f"?token={TOKEN}")).status == 202
        assert (await ingress.post("dockerhub", PUSH, headers, "?token=marked-wrong")).status == 401
    kept = {"content-type": "application/json", "user-agent": "Hub/1", "x-request-id": "request-7"}
    assert ingress.pushes()[0].headers == kept
    assert ingress.quarantine()[0].headers == kept
    assert b"marked" not in ingress.everything()
    assert "marked" not in f"{lines}{caplog.text}"


async def test_header_bytes_that_are_no_utf8_are_replaced(ingress: Ingress) -> None:
    headers = [b"User-Agent: a\xffb", f"Authorization: Bearer {TOKEN}".encode()]
    assert (await answer_to(ingress, "dockerhub", headers, PUSH.encode()))[0] == 202
    assert ingress.pushes()[0].headers == {"user-agent": "a�b"}


async def test_a_malformed_request_leaves_no_token_in_the_log(
    ingress: Ingress, capsys: pytest.CaptureFixture[str]
) -> None:
    """aiohttp itself logs what is no HTTP, with its text."""
    with configured_logging("text", "debug"):
        reader, writer = await connect(ingress)
        writer.write(f"POST /events/dockerhub?token={TOKEN} HTTP/9.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()
    said = capsys.readouterr().err
    assert "refused what is not an HTTP request: BadStatusLine" in said
    assert TOKEN not in said
    assert "Traceback" not in said


# When Kafka does not answer


async def test_no_answer_before_the_ack(ingress: Ingress) -> None:
    ingress.appender.gate.clear()
    answering = asyncio.create_task(ingress.deliver("dockerhub", PUSH))
    await ingress.appender.appending.wait()
    assert not ingress.pushes()
    assert not answering.done()
    ingress.appender.gate.set()
    assert await answering == ACCEPTED
    assert len(ingress.pushes()) == 1


async def test_a_batch_is_answered_only_when_all_are_acked(ingress: Ingress) -> None:
    target = {"mediaType": "application/vnd.oci.image.index.v1+json", "repository": "a/b", "tag": "v"}
    events = [{"action": "push", "id": f"{n}", "target": target} for n in range(3)]
    failing = iter([False, True, False])
    append = ingress.appender.append

    async def one_fails(draft: object) -> int:
        if next(failing):
            raise AppendFailed("refused")
        return await append(draft)  # type: ignore[arg-type]

    ingress.appender.append = one_fails  # type: ignore[method-assign]
    answer = await ingress.post("distribution", json.dumps({"events": events}))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert len(ingress.pushes()) == 2
    ingress.appender.append = append  # type: ignore[method-assign]
    assert (await ingress.deliver("distribution", json.dumps({"events": events})))["accepted"] == 3


@pytest.mark.parametrize("body", [PUSH, "{"], ids=["push", "quarantine"])
async def test_kafka_away_is_503_and_goes_on_when_it_is_back(ingress: Ingress, body: str) -> None:
    ingress.cluster.down = True
    answer = await ingress.post("dockerhub", body)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "detail" in await answer.json()
    ingress.cluster.down = False
    assert (await ingress.post("dockerhub", body)).status == 202


async def test_events_that_start_nothing_need_no_kafka(ingress: Ingress) -> None:
    ingress.cluster.down = True
    assert (await ingress.deliver("distribution", '{"events": [{"action": "pull"}]}'))["ignored"] == 1


async def test_an_ack_that_does_not_come_is_503() -> None:
    async with running(answer_s=0.05) as ingress:
        ingress.appender.gate.clear()
        answer = await ingress.post("dockerhub", PUSH)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        # It was not remembered: for the producer it is no duplicate.
        ingress.appender.gate.set()
        assert await ingress.deliver("dockerhub", PUSH) == ACCEPTED
