"""The rows of the table of answers that need no log (design section 6), and the URL's forms, over real HTTP."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network
from typing import Any

import pytest

from hookline.chain.ids import ChainId
from hookline.errors import AppendFailed
from hookline.log.records import Draft, Topic
from tests.unit.callbacks.scripted import ScriptedCluster
from tests.unit.callbacks.world import World, check_shape

BOM = b"\xef\xbb\xbf"
SUCCESS = b'{"state": "success"}'


async def send(
    world: World, path: str, body: bytes = SUCCESS, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON body."""
    async with world.replica() as replica, replica.client.post(path, data=body, headers=headers) as answer:
        await check_shape(answer)
        return answer.status, await answer.json()


def nothing_happened(world: World, chain: ChainId) -> bool:
    return world.callbacks(chain) == []


# ---- GET or another method: 405, nothing happens


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("ending", ["/", ""])
async def test_another_method(method: str, ending: str) -> None:
    world = World()
    chain = world.push()
    path = world.path(chain, 1).rstrip("/") + ending
    async with world.replica() as replica, replica.client.request(method, path, data=SUCCESS) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
    assert nothing_happened(world, chain)


# ---- bad token: 404


def changed(path: str) -> str:
    """The same with one character of its token changed."""
    at = len(path) - 20
    return path[:at] + ("a" if path[at] != "a" else "b") + path[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        changed,
        lambda path: path.replace("/u/acme/app/", "/u/acme/other/"),
        lambda path: path.replace("/u/acme/app/", "/_/app/"),
        lambda path: path[: path.index("/hook/")] + "/hook/aaaaaaaa/",
        lambda path: path[: path.index("/hook/")] + "/hook/" + "a" * 5000 + "/",
        lambda path: path.upper().replace("/U/ACME/APP/HOOK/", "/u/acme/app/hook/"),
        lambda path: path[:-2] + "/",
    ],
    ids=["changed", "another repository", "an official image", "short", "long", "capitals", "cut"],
)
async def test_bad_token(spoil: Any) -> None:
    world = World()
    chain = world.push()
    assert await send(world, spoil(world.path(chain, 1))) == (404, {"detail": "Not found."})
    assert nothing_happened(world, chain)


async def test_bad_token_comes_before_a_body_over_64_kib_and_bad_json() -> None:
    world = World()
    path = changed(world.path(world.push(), 1))
    assert (await send(world, path, b"x" * 70_000))[0] == 404


async def test_a_bad_token_is_told_before_the_body_has_come() -> None:
    world = World()
    chain, asked = world.push(), asyncio.Event()

    async def body_to_come() -> AsyncIterator[bytes]:
        yield SUCCESS[:1]
        await asked.wait()
        yield SUCCESS[1:]

    bad = changed(world.path(chain, 1))
    async with (
        asyncio.timeout(9),  # a body gets 10 s
        world.replica() as replica,
        replica.client.post(bad, data=body_to_come()) as answer,
    ):
        assert answer.status == 404
        asked.set()
    assert nothing_happened(world, chain)


# ---- body over 64 KiB: 413


def padded(size: int) -> bytes:
    return SUCCESS[:-1] + b" " * (size - len(SUCCESS)) + b"}"


async def test_body_of_64_kib_is_fine() -> None:
    world = World()
    assert await send(world, world.path(world.push(), 1), padded(65_536)) == (200, "OK")


async def test_body_over_64_kib() -> None:
    world = World()
    chain = world.push()
    assert (await send(world, world.path(chain, 1), padded(65_537)))[0] == 413
    assert nothing_happened(world, chain)


async def test_body_over_64_kib_comes_before_bad_json() -> None:
    world = World()
    assert (await send(world, world.path(world.push(), 1), b"x" * 65_537))[0] == 413


async def test_body_over_64_kib_without_its_length_said() -> None:
    world = World()
    chain = world.push()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(66):
            yield b" " * 1000

    async with world.replica() as replica, replica.client.post(world.path(chain, 1), data=chunks()) as answer:
        assert answer.status == 413


async def test_body_over_64_kib_once_unpacked() -> None:
    world = World()
    packed = gzip.compress(padded(1_000_000))
    assert (await send(world, world.path(world.push(), 1), packed, {"Content-Encoding": "gzip"}))[0] == 413


async def test_packed_body() -> None:
    world = World()
    path = world.path(world.push(), 1)
    assert await send(world, path, gzip.compress(SUCCESS), {"Content-Encoding": "gzip"}) == (200, "OK")


# ---- bad JSON, not an object, bad state, too long: 400 {"field": ["what is wrong"]}


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", "non_field_errors", "not JSON"),
        (b"state=success", "non_field_errors", "not JSON"),
        (b'{"state": "success"} x', "non_field_errors", "not JSON"),
        (b'{"state": "success", "n": NaN}', "non_field_errors", "NaN"),
        (b'{"state": "success", "n": -Infinity}', "non_field_errors", "Infinity"),
        (b'{"state": "success", "n": ' + b"9" * 5000 + b"}", "non_field_errors", "too long"),
        (b'{"state": "success", "state": "failure"}', "non_field_errors", "twice"),
        (b'{"state": "success", "x": {"a": 1, "a": 1}}', "non_field_errors", "twice"),
        (b'{"state": "success", "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "non_field_errors", "deep"),
        (b'{"state": "succ\xff"}', "non_field_errors", "UTF-8"),
        ('{"state": "success"}'.encode("utf-16"), "non_field_errors", "UTF-8"),
        (BOM + BOM + b'{"state": "success"}', "non_field_errors", "BOM"),
        (BOM, "non_field_errors", "not JSON"),
        (b'["success"]', "non_field_errors", "object"),
        (b'"success"', "non_field_errors", "object"),
        (b"null", "non_field_errors", "object"),
        (b"{}", "state", "required"),
        (b'{"state": null}', "state", "required"),
        (b'{"state": "Success"}', "state", "Must be"),
        (b'{"state": ""}', "state", "Must be"),
        (b'{"state": true}', "state", "Must be"),
        (b'{"state": ["success"]}', "state", "Must be"),
        (b'{"state": {"success": 1}}', "state", "Must be"),
        (b'{"state": "success", "description": 5}', "description", "string"),
        (b'{"state": "success", "description": false}', "description", "string"),
        (b'{"state": "success", "context": ["CI"]}', "context", "string"),
        (b'{"state": "success", "target_url": {}}', "target_url", "string"),
        (json.dumps({"state": "success", "description": "x" * 256}).encode(), "description", "255"),
        (json.dumps({"state": "success", "context": "x" * 101}).encode(), "context", "100"),
        (json.dumps({"state": "success", "target_url": "x" * 2049}).encode(), "target_url", "2048"),
        (b'{"state": "success", "description": "a\\u0000b"}', "description", "null"),
        (b'{"state": "success", "description": "\\ud800"}', "description", "surrogate"),
    ],
)
async def test_bad_body(body: bytes, field: str, says: str) -> None:
    world = World()
    chain = world.push()
    status, answer = await send(world, world.path(chain, 1), body)
    assert status == 400
    assert list(answer) == [field]
    assert says in " ".join(answer[field])
    assert nothing_happened(world, chain)


async def test_bad_body_names_every_field_that_is_wrong() -> None:
    world = World()
    body = json.dumps({"state": "ok", "description": 1, "context": "x" * 101}).encode()
    status, answer = await send(world, world.path(world.push(), 1), body)
    assert (status, sorted(answer)) == (400, ["context", "description", "state"])


async def test_bad_body_comes_before_what_the_log_says() -> None:
    world = World()
    chain = world.push()
    world.sealed(chain, 1, world.closing(chain, 1))
    status, said = await send(world, world.path(chain, 1), b"{}")
    assert (status, list(said)) == (400, ["state"])


async def test_body_that_does_not_fit_its_encoding() -> None:
    world = World()
    status, answer = await send(world, world.path(world.push(), 1), SUCCESS, {"Content-Encoding": "gzip"})
    assert (status, list(answer)) == (400, ["non_field_errors"])


# ---- what is fine


async def test_a_bom_before_the_body_is_ignored() -> None:
    """PowerShell and .NET send it, and do not look at the answer: refused, the chain would halt a day later."""
    world = World()
    assert await send(world, world.path(world.push(), 1), BOM + SUCCESS) == (200, "OK")
    packed = gzip.compress(BOM + SUCCESS)
    assert await send(world, world.path(world.push(), 1), packed, {"Content-Encoding": "gzip"}) == (200, "OK")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"description": None, "context": None, "target_url": None},
        {"description": "", "context": "", "target_url": ""},
        {"unknown": {"x": [1, 2.5, None]}, "created": 1.0},
        {"description": "ü" * 255, "context": "\U0001f389" * 100, "target_url": "x" * 2048},
        {"target_url": "javascript:alert(1)"},
    ],
)
@pytest.mark.parametrize("state", ["success", "failure", "error"])
async def test_good_body(state: str, more: dict[str, Any]) -> None:
    world = World()
    chain = world.push()
    status, answer = await send(world, world.path(chain, 1), json.dumps({"state": state, **more}).encode())
    assert (status, answer) == (200, "OK")
    ((_, event),) = world.callbacks(chain)
    said = {name: getattr(event, name) for name in ("description", "context", "target_url")}
    assert said == {name: more.get(name) or None for name in said}
    assert event.state == state


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain; charset=latin-1", "multipart/form-data; boundary=x", "nonsense"],
)
async def test_json_whatever_the_content_type_says(content_type: str) -> None:
    """`curl --data` sends application/x-www-form-urlencoded."""
    world = World()
    path = world.path(world.push(), 1)
    assert await send(world, path, SUCCESS, {"Content-Type": content_type}) == (200, "OK")


@pytest.mark.parametrize(
    "repository", ["acme/app", "library/nginx", "a/b/c/d", "app", "x/hook/y", "u/hook/_", "library/a/b"]
)
@pytest.mark.parametrize("ending", ["/", ""])
async def test_forms_of_the_url(repository: str, ending: str) -> None:
    world = World()
    path = world.path(world.push(), 1, repository=repository).rstrip("/") + ending
    assert await send(world, path) == (200, "OK")


async def test_official_image_under_its_full_name() -> None:
    world = World()
    path = world.path(world.push(), 1, repository="library/nginx").replace("/_/", "/u/library/")
    assert await send(world, path) == (200, "OK")


FORWARDED = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "Forwarded": "for=192.0.2.1"}


@pytest.mark.parametrize(("trusted", "remote_ip"), [((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.9")])
async def test_remote_ip_is_whoever_connects_or_whom_a_trusted_proxy_names(
    trusted: tuple[str, ...], remote_ip: str
) -> None:
    world = World(trusted_proxies=tuple(map(ip_network, trusted)))
    chain = world.push()
    await send(world, world.path(chain, 1), SUCCESS, FORWARDED)
    assert [event.remote_ip for _, event in world.callbacks(chain)] == [remote_ip]


# ---- Kafka does not ack; not restored yet: 503 + Retry-After


class RefusingWriter:
    async def append(self, draft: Draft) -> int:
        raise AppendFailed("no ack")


async def test_kafka_does_not_ack() -> None:
    world = World()
    chain = world.push()
    async with world.replica(RefusingWriter()) as replica:
        assert await replica.post(chain, 1, "success") == 503


async def test_kafka_does_not_answer_where_nothing_is_to_be_appended() -> None:
    world = World()
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        world.cluster.down = True
        assert await replica.post(chain, 1, "success") == 200  # what was read first stays first
        assert await replica.post(chain, 1, "failure") == 400
        assert await replica.post(chain, 2, "success", expires_in_ms=-1) == 503  # others may have taken it
        world.cluster.down = False
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 2, "success", expires_in_ms=-1) == 400


async def test_the_tails_do_not_reach_the_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.callbacks.gate.ANSWER_S", 0.05)
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        cluster.hold(Topic.CALLBACKS)
        assert await replica.post(chain, 1, "success") == 503
        cluster.release(Topic.CALLBACKS)
        assert await replica.post(chain, 1, "success") == 200


async def test_not_restored_yet() -> None:
    world = World()
    chain = world.push()
    world.cluster.down = True
    async with world.replica(wait=False) as replica:
        assert await replica.post(chain, 1, "success") == 503
    assert nothing_happened(world, chain)
