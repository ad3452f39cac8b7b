"""The trail: every request that changes or shows what must not be unseen leaves a line; generated from the app's routes."""

import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hookline.errors import AppendFailed
from services.console.sessions import FRESH_S
from services.console.trail import ROUTES
from tests.unit.console.running import PASSWORD, Running
from tests.unit.console_pages.visiting import Visitor
from tests.unit.console_pages.world import World

Route = tuple[str, str]
READING = ("GET", "HEAD", "OPTIONS")
WHO = {"by": "admin", "address": "127.0.0.1"}
WRONG = {"username": "admin", "password": "not this one"}
HUB = "/v2/repositories/acme/trail/webhook_pipeline"
FORM = {"name": "ci", "webhooks": [{"hook_url": "http://receiver.example/hook"}]}


@contextlib.contextmanager
def trails() -> Iterator[list[Mapping[str, Any]]]:
    """The lines of the trail that are left meanwhile."""
    found: list[Mapping[str, Any]] = []
    with capture_logs() as lines:
        yield found
    found += [line for line in lines if "trail" in line]


def routes_of(console: Running) -> set[Route]:
    return {(r.method, r.resource.canonical.rstrip("/")) for r in console.app.router.routes() if r.resource is not None}


async def test_every_route_that_changes_something_leaves_a_line(console: Running) -> None:
    routes = routes_of(console)
    assert {route for route in routes if route[0] not in READING} <= ROUTES.keys()
    assert ROUTES.keys() <= routes, "and there is no line for a route that is gone"


async def test_every_route_that_shows_a_secret_leaves_a_line(console: Running, world: World, visitor: Visitor) -> None:
    """Whatever may be read is read, with the ids of a hook, a chain and a pipeline in the place of a route's parts."""
    made = await console.make()
    parts = {
        "hook_id": made["webhooks"][0]["id"], "pipeline_id": made["id"], "slug": made["slug"], "ns": "acme",
        "repo": "app", "repository": "acme/app", "chain_id": str(world.chains["failure"]), "name": "live.js",
    }  # fmt: skip
    _, said = await console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
    headers = {"Authorization": f"JWT {said['token']}"}
    showing = set()
    for method, route in routes_of(console):
        if method == "GET":
            path = re.sub(r"{(\w+)(:[^}]*)?}", lambda part: parts[part[1]], route) or "/"
            async with visitor.http.get(visitor.base + path, headers=headers) as answer:
                assert answer.status == 200, path
                if "whsec_" in await answer.text():
                    showing.add((method, route))
    assert showing == {route for route in ROUTES if route[0] == "GET"}
    assert len(showing) == 2


class Doing:
    """One way to do what each route does, by route; what the line then says beside who and from where."""

    def __init__(self, console: Running, world: World, visitor: Visitor) -> None:
        self.console, self.world, self.visitor = console, world, visitor
        self.ways: dict[Route, Callable[[], Awaitable[Mapping[str, object]]]] = {
            ("POST", "/v2/users/login"): self.log_in_by_api,
            ("POST", "/login"): self.log_in,
            ("POST", "/v2/logout"): self.log_out_by_api,
            ("POST", "/logout"): self.log_out,
            ("POST", "/sessions/end"): self.end_session,
            ("POST", "/sessions/end-others"): self.end_others,
            ("GET", "/api/hooks/{hook_id}/secret"): self.see_secret_by_api,
            ("GET", "/hooks/{hook_id}/secret"): self.see_secret,
            ("POST", "/api/hooks/{hook_id}/rotate"): self.rotate_by_api,
            ("POST", "/hooks/{hook_id}/rotate"): self.rotate,
            ("POST", "/api/chains/{chain_id}/cancel"): self.cancel_by_api,
            ("POST", "/chains/{chain_id}/cancel"): self.cancel,
            ("POST", "/api/chains/{chain_id}/run"): self.run_by_api,
            ("POST", "/chains/{chain_id}/run"): self.run,
        }
        for many in ("/v2/repositories/{ns}/{repo}/webhook_pipeline", "/api/pipelines"):
            one = f"{many}/{{slug}}" if many.startswith("/v2") else f"{many}/{{pipeline_id}}"
            is_hub = many.startswith("/v2")
            self.ways[("POST", many)] = lambda is_hub=is_hub: self.make(is_hub)
            self.ways[("PATCH", one)] = lambda is_hub=is_hub: self.change(is_hub)
            self.ways[("DELETE", one)] = lambda is_hub=is_hub: self.delete(is_hub)

    async def refresh(self) -> str:
        """A fresh session of the API; its id."""
        _, said = await self.console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
        self.console.token = said["token"]
        total = await self.visitor.get("/sessions?page_size=250")
        ids = [form.fields["session"] for form in total.forms if "session" in form.fields]
        assert ids
        return ids[0]

    async def log_in_by_api(self) -> Mapping[str, object]:
        await self.console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
        return {"status": 200}

    async def log_in(self) -> Mapping[str, object]:
        fields = {"username": "admin", "password": PASSWORD}
        assert (await self.visitor.post("/login", fields)).status == 303
        return {"status": 303}

    async def log_out_by_api(self) -> Mapping[str, object]:
        assert (await self.console.call("POST", "/v2/logout/"))[0] == 200
        return {"status": 200}

    async def log_out(self) -> Mapping[str, object]:
        await self.visitor.send((await self.visitor.get("/")).form("/logout"))
        return {"status": 303}

    async def end_session(self) -> Mapping[str, object]:
        page = await self.visitor.get("/sessions")
        form = next(form for form in page.forms if form.action == "/sessions/end")
        await self.visitor.send(form)
        return {"ended": form.fields["session"]}

    async def end_others(self) -> Mapping[str, object]:
        page = await self.visitor.get("/sessions?page_size=250")
        others = [form for form in page.forms if form.action == "/sessions/end"]
        await self.visitor.send(page.form("/end-others"))
        return {"ended": len(others)}

    async def see_secret_by_api(self) -> Mapping[str, object]:
        hook_id = (await self.pipeline("seen"))["webhooks"][0]["id"]
        await self.console.get(f"/api/hooks/{hook_id}/secret")
        return {"hook_id": hook_id}

    async def see_secret(self) -> Mapping[str, object]:
        hook_id = (await self.pipeline("shown"))["webhooks"][0]["id"]
        await self.visitor.get(f"/hooks/{hook_id}/secret")
        return {"hook_id": hook_id}

    async def rotate_by_api(self) -> Mapping[str, object]:
        hook_id = (await self.pipeline("rotated"))["webhooks"][0]["id"]
        assert (await self.console.call("POST", f"/api/hooks/{hook_id}/rotate", {}))[0] == 200
        return {"hook_id": hook_id}

    async def rotate(self) -> Mapping[str, object]:
        hook_id = (await self.pipeline("rotated on a page"))["webhooks"][0]["id"]
        page = await self.visitor.get("/repositories/acme/trail")
        assert (await self.visitor.send(page.form(f"/hooks/{hook_id}/rotate"))).status == 303
        return {"hook_id": hook_id}

    async def pipeline(self, name: str) -> Any:
        return await self.console.make("acme/trail", name=name)

    async def make(self, is_hub: bool) -> Mapping[str, object]:
        path = HUB if is_hub else "/api/pipelines?repository=acme/trail"
        status, made = await self.console.call("POST", path, FORM | {"name": f"made {is_hub}"})
        assert status == 201
        return {"pipeline": made["id"], "repository": "acme/trail"}

    async def change(self, is_hub: bool) -> Mapping[str, object]:
        made = await self.pipeline(f"changed {is_hub}")
        path = f"{HUB}/{made['slug']}" if is_hub else f"/api/pipelines/{made['id']}"
        assert (await self.console.call("PATCH", path, {"timeout": 7, "active": True, "tags": ["v*"]}))[0] == 200
        return {"pipeline": made["id"], "changed": ["tags", "timeout_s"]}

    async def delete(self, is_hub: bool) -> Mapping[str, object]:
        made = await self.pipeline(f"deleted {is_hub}")
        path = f"{HUB}/{made['slug']}" if is_hub else f"/api/pipelines/{made['id']}"
        assert (await self.console.call("DELETE", f"{path}?cancel=true"))[0] == 204
        return {"pipeline": made["id"], "cancelled": 0}

    async def cancel_by_api(self) -> Mapping[str, object]:
        chain = str(self.world.chains["retrying"])
        assert (await self.console.call("POST", f"/api/chains/{chain}/cancel"))[0] == 202
        return {"chain_id": chain}

    async def cancel(self) -> Mapping[str, object]:
        chain = str(self.world.chains["retrying"])
        done = await self.visitor.send((await self.visitor.get(f"/chains/{chain}")).form("/cancel"))
        assert done.status == 303
        return {"chain_id": chain}

    async def run_by_api(self) -> Mapping[str, object]:
        chain = str(self.world.chains["failure"])
        status, said = await self.console.call("POST", f"/api/chains/{chain}/run", {"from_step": 1})
        assert status == 202
        return {"chain_id": chain, "from_step": 1, "run": said["chain_id"]}

    async def run(self) -> Mapping[str, object]:
        chain = str(self.world.chains["failure"])
        done = await self.visitor.send((await self.visitor.get(f"/chains/{chain}")).form("/run"))
        assert done.status == 303
        return {"chain_id": chain, "run": done.location.removeprefix("/chains/")}


@pytest_asyncio.fixture
async def doing(console: Running, world: World, visitor: Visitor) -> AsyncIterator[Doing]:
    made = Doing(console, world, visitor)
    await made.refresh()
    yield made


@pytest.mark.parametrize("route", sorted(ROUTES), ids=" ".join)
async def test_the_line_says_who_whence_and_what(doing: Doing, route: Route) -> None:
    with trails() as lines:
        what = await doing.ways[route]()
    word, words = ROUTES[route]
    (line,) = [line for line in lines if line["trail"] == word]
    assert line["event"] == f"{words}: done"
    assert WHO | dict(what) == {name: line[name] for name in [*WHO, *what]}
    assert line["session"]
    assert line["status"] < 400
    assert PASSWORD not in str(lines)
    assert doing.console.token not in str(lines)


async def test_a_failed_login_names_nobody_who_is_not_known(console: Running, stranger: Visitor) -> None:
    with trails() as lines:
        for name in ("admin", "hunter2, typed into the wrong field"):
            assert (await console.call("POST", "/v2/users/login/", WRONG | {"username": name}))[0] == 401
            assert (await stranger.post("/login", WRONG | {"username": name})).status == 403
            console.clock.advance(3600)  # what was wrong is forgotten
    assert [line["by"] for line in lines] == ["admin", "admin", "nobody", "nobody"]
    assert {line["event"] for line in lines} == {"login: refused"}
    assert [line["status"] for line in lines] == [401, 403, 401, 403]
    assert "hunter2" not in str(lines)
    assert WRONG["password"] not in str(lines)


async def test_what_is_refused_and_what_is_not_known_leave_a_line(doing: Doing) -> None:
    console, visitor = doing.console, doing.visitor
    made = await doing.pipeline("refused")
    console.clock.advance(FRESH_S)
    hook = made["webhooks"][0]["id"]
    with trails() as lines:
        await console.call("GET", f"/api/hooks/{hook}/secret")
        await visitor.get(f"/hooks/{hook}/secret", status=403)
        assert (await visitor.post("/sessions/end-others", {})).status == 403
        assert (await console.call("PATCH", f"/api/pipelines/{made['id']}", {"timeout": 0}))[0] == 400
        console.appends.fail = AppendFailed("no ack")
        assert (await console.call("DELETE", f"/api/pipelines/{made['id']}"))[0] == 503
    assert [(line["trail"], line["event"].partition(": ")[2], line["status"]) for line in lines] == [
        ("secret_shown", "refused", 401),
        ("secret_shown", "refused", 403),
        ("other_sessions_ended", "refused", 403),
        ("pipeline_changed", "refused", 400),
        ("pipeline_deleted", "failed, or done without an answer", 503),
    ]
    assert all(WHO.items() <= line.items() for line in lines)


async def test_who_has_no_session_leaves_no_line(console: Running, stranger: Visitor) -> None:
    """Whoever can reach the console could fill the log; a login is what it takes to be somebody."""
    with trails() as lines:
        for method, route in sorted(ROUTES):
            if not route.endswith("login"):
                async with stranger.http.request(method, stranger.base + route, allow_redirects=False) as answer:
                    assert answer.status in (303, 401), route
    assert lines == []


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_it_is_written_whatever_the_level(style: str, level: str) -> None:
    """In a process of its own: how it logs is set once in each."""
    program = (
        "import structlog; from hookline.web.logging import configure_logging; from services.console.trail import trail;"
        f"configure_logging({style!r}, {level!r}); structlog.get_logger().info('another line');"
        "trail('login', 'login: done', by='admin', address='192.0.2.1', text='x' * 9000)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    lines = [line for line in said.splitlines() if "another line" not in line]
    assert len(said.splitlines()) == (2 if level in ("debug", "info") else 1)
    (line,) = lines
    assert "login: done" in line
    assert "192.0.2.1" in line
    assert len(line) < 600
