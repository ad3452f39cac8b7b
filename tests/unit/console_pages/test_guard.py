"""Login, cookies, forms of others, headers."""

import asyncio
import re
from pathlib import Path

import pytest

from hookline.clock import SystemClock
from hookline.log.records import Topic
from hookline.log.watch import LogState
from hookline.settings import Settings
from hookline.testing.memory import MemoryCluster
from services.console.api.login import API
from services.console.pages.addresses import local_path
from services.console.service import Console
from tests.unit.console.histories import LOG_ID
from tests.unit.console.running import KEY, PARTITIONS, PASSWORD, Running
from tests.unit.console_pages.visiting import Visitor
from tests.unit.console_pages.world import World

OPEN = ("/login", "/static")


def routes(folder: Path) -> list[tuple[str, str]]:
    """Method and path of every page, with something in place of its parts."""
    settings = Settings(data_dir=folder, master_keys=[KEY], admin_password=PASSWORD)
    app = Console(settings, SystemClock(), MemoryCluster(), check_log=lambda: asyncio.sleep(0, LogState(LOG_ID))).app
    known = [(r.method, r.resource.canonical) for r in app.router.routes() if r.resource is not None]
    return [(method, re.sub(r"{\w+}", "x", path)) for method, path in known if not path.startswith(API)]


async def test_nothing_without_a_login(stranger: Visitor, tmp_path: Path) -> None:
    closed = [(method, path) for method, path in routes(tmp_path / "other") if not path.startswith(OPEN)]
    assert len(closed) > 10
    for method, path in [*closed, ("GET", "/nothing"), ("GET", "/static2"), ("DELETE", "/")]:
        async with stranger.http.request(method, stranger.base + path, allow_redirects=False) as answer:
            assert answer.status == 303, (method, path)
            assert answer.headers["Location"].startswith("/login"), (method, path)


async def test_login_leads_back_to_where_one_wanted_to_go(stranger: Visitor) -> None:
    asked = await stranger.get("/pushes?repository=a%2Fb&started=false", status=303)
    page = await stranger.get(asked.location)
    done = await stranger.send(page.form("/login"), username="admin", password=PASSWORD)
    assert (done.status, done.location) == (303, "/pushes?repository=a/b&started=false")
    assert "No pushes match" in (await stranger.get(done.location)).text
    assert (await stranger.get(asked.location, status=303)).location == done.location, "signed in already"


async def test_the_cookie(stranger: Visitor) -> None:
    port = stranger.base.rpartition(":")[2]
    done = await stranger.log_in()
    first, *flags = done.headers["Set-Cookie"].split("; ")
    assert first.startswith(f"hookline_session_{port}=")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=86400"}


async def test_a_wrong_password(stranger: Visitor) -> None:
    form = (await stranger.get("/login?next=/pushes")).form("/login")
    for name, password in (("admin", "wrong-password"), ("root", PASSWORD), ("", "")):
        page = await stranger.send(form, username=name, password=password)
        assert page.status == 403
        assert "Wrong name or password." in page.text
        again = page.form("/login").fields
        assert again == {"next": "/pushes", "username": name, "password": ""}
        assert "Set-Cookie" not in page.headers
    await stranger.get("/", status=303)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/x\r\nSet-Cookie: a=b",
        "/" + "x" * 3000,
    ],
)
async def test_login_never_leads_elsewhere(stranger: Visitor, path: str) -> None:
    assert local_path(path) == "/"
    done = await stranger.post("/login", {"username": "admin", "password": PASSWORD, "next": path})
    assert (done.status, done.location) == (303, "/")


async def test_a_path_with_other_letters(stranger: Visitor) -> None:
    done = await stranger.post("/login", {"username": "admin", "password": PASSWORD, "next": "/pushes?repository=ü b"})
    assert done.location == "/pushes?repository=%C3%BC+b"


async def test_logout(visitor: Visitor) -> None:
    page = await visitor.get("/")
    out = await visitor.send(page.form("/logout"))
    assert (out.status, out.location) == (303, "/login")
    assert (await visitor.get("/", status=303)).location == "/login"
    assert (await visitor.get("/login")).form("/login")


async def test_logout_is_nothing_that_a_link_can_do(visitor: Visitor) -> None:
    page = await visitor.get("/logout", status=405)
    assert page.headers["Allow"] == "POST"
    await visitor.get("/")


async def test_a_session_ends_after_a_day(console: Running, visitor: Visitor) -> None:
    await visitor.get("/")
    console.clock.advance(86_400)
    await visitor.get("/", status=303)


async def test_the_cookie_is_no_credential_of_the_api(visitor: Visitor) -> None:
    async with visitor.http.get(visitor.base + "/api/pipelines") as answer:
        assert answer.status == 401


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_forms_of_other_sites(console: Running, world: World, visitor: Visitor, headers: dict[str, str]) -> None:
    path = f"/chains/{world.chains['retrying']}"
    form = (await visitor.get(path)).form("/cancel")
    before = [console.records(Topic.COMMANDS, p) for p in range(PARTITIONS)]
    for action, fields in ((form.action, form.fields), ("/logout", form.fields), ("/login", {"username": "admin"})):
        page = await visitor.post(action, fields, headers)
        assert page.status == 403
        assert "another site" in page.text
    assert [console.records(Topic.COMMANDS, p) for p in range(PARTITIONS)] == before
    await visitor.get(path)


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü"])
async def test_forms_without_the_sessions_token(
    console: Running, world: World, visitor: Visitor, token: str | None
) -> None:
    form = (await visitor.get(f"/chains/{world.chains['retrying']}")).form("/cancel")
    fields = {} if token is None else {"token": token}
    before = [console.records(Topic.COMMANDS, p) for p in range(PARTITIONS)]
    page = await visitor.post(form.action, fields)
    assert page.status == 403
    assert "earlier session" in page.text
    assert f"/chains/{world.chains['retrying']}" in page.links
    assert [console.records(Topic.COMMANDS, p) for p in range(PARTITIONS)] == before
    console.clock.advance(1)
    await visitor.post("/login", {"username": "admin", "password": PASSWORD})
    assert (await visitor.post(form.action, form.fields)).status == 403, "the token is of one session"


async def test_a_form_that_is_too_long(visitor: Visitor) -> None:
    assert (await visitor.post("/logout", {"token": "x" * 20_000})).status == 413


async def test_a_link_on_another_site_brings_the_cookie_along(stranger: Visitor) -> None:
    page = await stranger.get("/pushes?page=1", {"Sec-Fetch-Site": "cross-site"})
    refresh = [given["content"] for tag, given in page.elements if tag == "meta" and "http-equiv" in given]
    assert refresh == ["0; url=/pushes?page=1"]
    assert page.links[-1] == "/pushes?page=1"


async def test_headers_of_every_answer(stranger: Visitor, visitor: Visitor) -> None:
    answers = [
        await stranger.get("/login"),
        await stranger.get("/", status=303),
        await stranger.get("/static/live.js"),
        await visitor.get("/"),
        await visitor.get("/nothing", status=404),
        await visitor.get("/pushes?page=0", status=400),
        await visitor.post("/logout", {}),
    ]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        is_static = answer is answers[2]
        assert answer.headers["Cache-Control"] == ("max-age=86400" if is_static else "no-store")


@pytest.mark.parametrize(
    "path", ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py", "/static/"]
)
async def test_static_files_are_those_of_the_folder(stranger: Visitor, path: str) -> None:
    async with stranger.http.get(stranger.base + path, allow_redirects=False) as answer:
        assert answer.status in (303, 403, 404)
        assert "import" not in await answer.text()
