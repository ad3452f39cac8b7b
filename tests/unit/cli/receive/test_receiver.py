"""The receiver of `receive` and `demo`: signatures, answers, callbacks. Served for real on loopback."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from hookline.cli.receive.receiver import Conduct, Hook, Receiver, Verdict, check_secret, verify
from hookline.errors import ConfigError
from tests.kit.waiting import until

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(body: bytes, secret: str = SECRET, webhook_id: str = "chain-1") -> dict[str, str]:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, now, body.decode())
    return {"webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


class Notes:
    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.order: list[str] = []

    def hook_came(self, hook: Hook) -> None:
        self.hooks.append(hook)
        self.order.append("hook")

    def answered(self, hook: Hook, status: int) -> None:
        self.order.append(f"answered {status}")

    def calls_back(self, hook: Hook, verdict: Verdict) -> None: ...

    def called_back(self, hook: Hook, verdict: Verdict, status: int, answer: str) -> None:
        self.order.append(f"called back {verdict['state']}: {status} {answer}")


class CallbackService:
    """Answers callbacks with the statuses that it is told, one after the other."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.bodies: list[object] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.json_response("OK", status=status)


class World:
    def __init__(self, session: ClientSession, callbacks: CallbackService, callback_url: str) -> None:
        self.session, self.callbacks, self.callback_url, self.notes = session, callbacks, callback_url, Notes()
        self.server: TestServer

    async def serve(self, conduct: Conduct, secrets: list[str]) -> None:
        self.server = TestServer(Receiver(secrets, conduct, self.notes).app())
        await self.server.start_server()

    def body(self) -> bytes:
        payload = {
            "callback_url": self.callback_url,
            "repository": {"repo_name": "acme/shop"},
            "push_data": {"tag": "1"},
        }
        return json.dumps(payload).encode()

    async def post(self, body: bytes, headers: dict[str, str]) -> ClientResponse:
        return await self.session.post(
            self.server.make_url("/any/path"), data=body, headers=headers, allow_redirects=False
        )

    async def until(self, note: str) -> None:
        await until(lambda: any(note in one for one in self.notes.order))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    callbacks = CallbackService()
    app = web.Application()
    app.router.add_post("/u/acme/shop/hook/tok/", callbacks.take)
    async with TestServer(app) as server, ClientSession() as session:
        world = World(session, callbacks, str(server.make_url("/u/acme/shop/hook/tok/")))
        yield world
        await world.server.close()


async def success(_: Hook) -> Verdict | None:
    return {"state": "success"}


async def nothing(_: Hook) -> Verdict | None:
    return None


async def test_a_signed_hook_is_answered_and_called_back(world: World) -> None:
    await world.serve(Conduct(success), [OTHER, SECRET])
    answer = await world.post(world.body(), signed(world.body()))
    assert answer.status == 200
    await world.until("called back")
    assert world.notes.order == ["hook", "answered 200", 'called back success: 200 "OK"']
    assert world.callbacks.bodies == [{"state": "success"}]
    assert world.notes.hooks[0].verified is True
    assert world.notes.hooks[0].image == "acme/shop:1"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers: headers | {"webhook-signature": "v1,AAAA"},
        lambda headers: headers | {"webhook-signature": "nonsense"},
        lambda headers: headers | {"webhook-id": "another"},
        lambda headers: headers | {"webhook-timestamp": "1417566161"},
        lambda headers: {},
    ],
    ids=["wrong", "no signature", "other id", "too old", "none"],
)
async def test_a_bad_signature_is_401_and_no_callback(world: World, spoil) -> None:  # type: ignore[no-untyped-def]
    await world.serve(Conduct(success), [SECRET])
    answer = await world.post(world.body(), spoil(signed(world.body())))
    assert answer.status == 401
    assert world.notes.order == ["hook", "answered 401"]
    assert world.notes.hooks[0].verified is False


async def test_without_a_secret_it_says_that_nothing_was_verified(world: World) -> None:
    await world.serve(Conduct(nothing), [])
    assert (await world.post(world.body(), {})).status == 200
    assert world.notes.hooks[0].verified is None
    assert verify([], b"{}", {}) == (None, "no secret to verify with")


async def test_early_calls_back_before_it_answers(world: World) -> None:
    await world.serve(Conduct(success, early=True), [SECRET])
    assert (await world.post(world.body(), signed(world.body()))).status == 200
    assert world.notes.order == ["hook", 'called back success: 200 "OK"', "answered 200"]


async def test_any_status_can_be_answered(world: World) -> None:
    await world.serve(Conduct(nothing, status=302, headers={"Location": "/"}), [SECRET])
    assert (await world.post(world.body(), signed(world.body()))).status == 302


async def test_a_repeat_is_seen_as_one(world: World) -> None:
    await world.serve(Conduct(nothing), [SECRET])
    for _ in range(2):
        await world.post(world.body(), signed(world.body()))
    assert [hook.times_seen for hook in world.notes.hooks] == [1, 2]


async def test_a_callback_answered_503_is_sent_again(world: World) -> None:
    world.callbacks.statuses = [503, 200]
    await world.serve(Conduct(success), [SECRET])
    await world.post(world.body(), signed(world.body()))
    await world.until("called back")
    assert world.notes.order[-1] == 'called back success: 200 "OK"'
    assert len(world.callbacks.bodies) == 2


async def test_a_callback_answered_400_is_not_sent_again(world: World) -> None:
    world.callbacks.statuses = [400]
    await world.serve(Conduct(success), [SECRET])
    await world.post(world.body(), signed(world.body()))
    await world.until("called back")
    assert len(world.callbacks.bodies) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"\xff\xfe"])
async def test_what_is_no_json_object_is_400(world: World, body: bytes) -> None:
    await world.serve(Conduct(success), [SECRET])
    assert (await world.post(body, {})).status == 400
    assert world.notes.order == []


def test_a_secret_that_is_none() -> None:
    check_secret(SECRET)
    for bad in ("whsec_", "whsec_!!!"):
        with pytest.raises(ConfigError, match="not a hook secret"):
            check_secret(bad)
