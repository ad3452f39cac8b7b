"""The demo says 0 only for what really went right. Against a small stand-in for the four services that can be told to misbehave."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from rich.console import Console
from standardwebhooks import Webhook

from hookline.cli.demo.demo_client import DemoClient, DemoFailed, Json
from hookline.cli.demo.demo_story import PIPELINE, REPOSITORY, Story
from hookline.cli.terminal import THEME
from tests.kit.clocks import QuickClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PASSWORD, TOKEN = "a-long-password-of-mine", "a-long-token-of-mine"


class StandIn:
    """Console, ingress, dispatcher and callbacks in one, as the demo sees them."""

    def __init__(self, session: ClientSession) -> None:
        self.ignores_failure = False
        self.signs_with = SECRET
        self.forgets_step = 0
        self.push_status = 202
        self.callback_answers_after_s = 0.0
        self._session = session
        self._hooks: list[dict[str, str]] = []
        self._rows: list[dict[str, Json]] = []
        self._verdicts: dict[str, asyncio.Future[dict[str, str]]] = {}
        self._chains: set[asyncio.Task[None]] = set()
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        pipelines = f"/v2/repositories/{REPOSITORY}/webhook_pipeline/"
        app.router.add_post("/v2/users/login/", self._login)
        app.router.add_delete(f"{pipelines}{PIPELINE}/", self._delete)
        app.router.add_post(pipelines, self._create)
        app.router.add_get("/api/hooks/{id}/secret", self._secret)
        app.router.add_get(f"{pipelines}{PIPELINE}/history/", self._history)
        app.router.add_post("/events/dockerhub", self._push)
        app.router.add_post("/u/acme/shop/hook/{key}/", self._callback)
        return app

    async def _login(self, request: web.Request) -> web.Response:
        good = (await request.json()) == {"username": "admin", "password": PASSWORD}
        return web.json_response({"token": "session"} if good else {"detail": "no"}, status=200 if good else 401)

    async def _delete(self, _: web.Request) -> web.Response:
        return web.json_response({"detail": "Not found."}, status=404)

    async def _create(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "JWT session"
        self._hooks = [hook | {"id": f"id-{n}"} for n, hook in enumerate((await request.json())["webhooks"])]
        return web.json_response({"slug": PIPELINE, "webhooks": self._hooks}, status=201)

    async def _secret(self, _: web.Request) -> web.Response:
        return web.json_response({"secret": SECRET})

    async def _history(self, _: web.Request) -> web.Response:
        return web.json_response({"results": self._rows})

    async def _push(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        payload = await request.json()
        row: dict[str, Json] = {"uuid": f"c{len(self._rows)}", "status": "pending", "tag": payload["push_data"]["tag"]}
        self._rows.insert(0, row)
        task = asyncio.create_task(self._run(row, payload))
        self._chains.add(task)
        task.add_done_callback(
            lambda ended: ended.cancelled() or ended.exception()
        )  # the receivers may be gone by then
        return web.json_response(
            {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}, status=self.push_status
        )

    async def _run(self, row: dict[str, Json], payload: dict[str, object]) -> None:
        for step, hook in enumerate(self._hooks, 1):
            row["step"] = step
            if step == self.forgets_step:
                continue
            key = f"{row['uuid']}-{step}"
            self._verdicts[key] = asyncio.get_running_loop().create_future()
            body = json.dumps({"callback_url": f"{self.url}/u/acme/shop/hook/{key}/", **payload})
            now = datetime.now(UTC)
            headers = {"webhook-id": key, "webhook-timestamp": str(int(now.timestamp()))}
            headers["webhook-signature"] = Webhook(self.signs_with).sign(key, now, body)
            async with self._session.post(hook["hook_url"], data=body, headers=headers) as answer:
                if answer.status >= 400:
                    row |= {"status": "error", "reason": "delivery_failed"}
                    return
            verdict = await self._verdicts[key]
            if verdict["state"] != "success" and not self.ignores_failure:
                row |= {"status": verdict["state"], "reason": f"callback_{verdict['state']}"}
                return
        row["status"] = "success"

    async def _callback(self, request: web.Request) -> web.Response:
        self._verdicts[request.match_info["key"]].set_result(await request.json())
        await asyncio.sleep(self.callback_answers_after_s)
        return web.json_response("OK")


class World:
    def __init__(self, stand_in: StandIn, session: ClientSession) -> None:
        self.stand_in = stand_in
        self._file = io.StringIO()
        console = Console(file=self._file, theme=THEME, width=200, soft_wrap=True)
        client = DemoClient(session, console, stand_in.url, stand_in.url)
        self.story = Story(client, console, QuickClock(lambda seconds: min(seconds, 0.01)))

    @property
    def text(self) -> str:
        return self._file.getvalue()

    async def tell(self, password: str = PASSWORD) -> bool:
        return await self.story.tell("admin", password, TOKEN)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with ClientSession() as session:
        stand_in = StandIn(session)
        async with TestServer(stand_in.app()) as server:
            stand_in.url = str(server.make_url("/")).rstrip("/")
            yield World(stand_in, session)


async def test_all_went_right(world: World) -> None:
    assert await world.tell()
    assert "3 hooks called, 3 callbacks" in world.text
    assert "at hook 2 (callback_failure); hook 3 (deploy) was never called" in world.text
    assert world.text.count("signature ok") == 5
    assert "not as expected" not in world.text


async def test_a_callback_that_is_answered_after_its_chain_is_over(world: World) -> None:
    world.stand_in.callback_answers_after_s = 0.2
    assert await world.tell()


async def test_secrets_are_shortened(world: World) -> None:
    await world.tell()
    assert "a-lo…" in world.text
    assert not [secret for secret in (PASSWORD, TOKEN, SECRET) if secret in world.text]


async def test_a_failure_that_does_not_halt(world: World) -> None:
    world.stand_in.ignores_failure = True
    assert not await world.tell()
    assert "not as expected" in world.text


async def test_a_hook_that_is_never_called(world: World) -> None:
    world.stand_in.forgets_step = 1
    assert not await world.tell()


async def test_a_wrong_signature(world: World) -> None:
    world.stand_in.signs_with = "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert not await world.tell()
    assert "bad signature" in world.text


async def test_a_push_that_is_not_taken(world: World) -> None:
    world.stand_in.push_status = 503
    with pytest.raises(DemoFailed, match="the push was answered 503"):
        await world.tell()


async def test_a_login_that_is_refused(world: World) -> None:
    with pytest.raises(DemoFailed, match="login was answered 401"):
        await world.tell(password="another")
