"""The page of sessions, logout, the password before a secret, and what the console's public URL decides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.sessions import FRESH_S, TOUCH_MS
from tests.unit.console.running import PASSWORD, Running, running
from tests.unit.console_pages.visiting import Page, Visitor, visiting
from tests.unit.console_pages.world import World

PUBLIC = "https://hookline.example.com"
HUB = "/v2/repositories/acme/app/webhook_pipeline/"
YEAR_S = 31_536_000
IDLE_S = 3600


@contextlib.asynccontextmanager
async def another(base: str) -> AsyncIterator[Visitor]:
    """Another browser that is logged in."""
    async with visiting(base) as visitor:
        assert (await visitor.log_in()).status == 303
        yield visitor


def cookie_of(page: Page) -> tuple[str, set[str]]:
    first, *flags = page.headers["Set-Cookie"].split("; ")
    return first, set(flags)


async def test_sessions_are_listed_and_ended(console: Running, visitor: Visitor) -> None:
    async with another(console.base) as other:
        page = await visitor.get("/sessions")
        assert page.text.count("admin 127.0.0.1 pages") == 2
        assert page.text.count("admin 192.0.2.7 API") == 1
        assert page.text.count("this one") == 1
        ends = [form for form in page.forms if form.action == "/sessions/end"]
        assert len(ends) == 2, "not its own: that is to log out"
        of_other = next(form for form in ends if form.fields["session"] not in console.token)
        for form in ends:
            done = await visitor.send(form)
            assert (done.status, done.location) == (303, "/sessions")
        await other.get("/", status=303)
        assert (await console.call("GET", "/api/pipelines"))[0] == 401
        page = await visitor.get("/sessions")
        assert "1–1 of 1 sessions" in page.text
        assert [form.action for form in page.forms] == ["/logout"]
        assert (await visitor.send(of_other)).status == 303, "it has ended already"


async def test_all_others_are_ended_at_once(console: Running, visitor: Visitor) -> None:
    async with another(console.base) as one, another(console.base) as two:
        done = await visitor.send((await visitor.get("/sessions")).form("/end-others"))
        assert (done.status, done.location) == (303, "/sessions")
        for ended in (one, two):
            await ended.get("/", status=303)
    assert (await console.call("GET", "/api/pipelines"))[0] == 401
    assert "1–1 of 1 sessions" in (await visitor.get("/sessions")).text


async def test_a_list_of_many_sessions(console: Running, visitor: Visitor) -> None:
    for _ in range(3):
        await console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
    page = await visitor.get("/sessions?page_size=2")
    assert "1–2 of 5 sessions" in page.text
    assert "/sessions?page_size=2&page=2" in page.links
    assert "5–5 of 5" in (await visitor.get("/sessions?page_size=2&page=3")).text
    await visitor.get("/sessions?page_size=2&page=4", status=404)


async def test_a_cookie_that_was_copied_is_of_no_use_after_logout(console: Running, visitor: Visitor) -> None:
    port = console.base.rpartition(":")[2]
    (copied,) = [cookie.value for cookie in visitor.http.cookie_jar if cookie.key == f"hookline_session_{port}"]
    headers = {"Cookie": f"hookline_session_{port}={copied}"}
    async with visiting(console.base) as thief:
        await thief.get("/pushes", headers)
        await visitor.send((await visitor.get("/")).form("/logout"))
        await thief.get("/pushes", headers, status=303)
    for scheme in ("JWT", "Bearer"):
        status, _ = await console.call("GET", "/api/pipelines", headers={"Authorization": f"{scheme} {copied}"})
        assert status == 401


async def test_a_page_that_keeps_itself_up_to_date_keeps_nobody_logged_in(console: Running, visitor: Visitor) -> None:
    for _ in range(2):
        console.clock.advance(IDLE_S / 2)
        await visitor.get("/", {"Hookline-Refresh": "1"})
    console.clock.advance(TOUCH_MS / 1000)
    await visitor.get("/", status=303)


async def test_the_pages_script_says_that_nobody_uses_it(visitor: Visitor) -> None:
    assert '"Hookline-Refresh"' in (await visitor.get("/static/live.js")).source


async def test_a_secret_asks_for_the_password_again(console: Running, world: World, visitor: Visitor) -> None:
    (hook,) = (await console.make("fresh/app"))["webhooks"]
    path = f"/hooks/{hook['id']}/secret"
    assert path in (await visitor.get("/repositories/fresh/app")).links
    assert "whsec_" in (await visitor.get(path)).text, "it was given a moment ago"
    console.clock.advance(FRESH_S)
    asked = await visitor.get(path, status=403)
    assert "whsec_" not in asked.source
    form = asked.form("/login")
    assert form.fields == {"next": path, "username": "admin", "password": ""}
    assert (await visitor.send(form, password="wrong")).status == 403
    before = (await visitor.get("/sessions")).text
    done = await visitor.send(form, password=PASSWORD)
    assert (done.status, done.location) == (303, path)
    assert "whsec_" in (await visitor.get(path)).text
    after = (await visitor.get("/sessions")).text
    assert before.count("pages") == after.count("pages"), "the session before it ended"
    await visitor.get("/hooks/none/secret", status=404)


LOGINS = ["/login", "/login/", "/login?next=/login", "/log%69n", "/./login", "/x/../login", "/login#x"]


@pytest.mark.parametrize("path", LOGINS)
async def test_login_never_leads_to_itself(visitor: Visitor, path: str) -> None:
    async with visitor.http.get(visitor.base + "/login", params={"next": path}, max_redirects=3) as answer:
        assert (answer.status, answer.url.path) == (200, "/")
        assert len(answer.history) == (2 if "." in path else 1), "at once, unless the browser finds out only then"


@contextlib.asynccontextmanager
async def public(folder: Path, url: str = PUBLIC) -> AsyncIterator[Running]:
    async with running(folder, settings={"public_console_url": url}) as console:
        yield console


async def test_behind_tls_the_cookie_is_this_hosts_alone(tmp_path: Path) -> None:
    async with public(tmp_path) as console, visiting(console.base) as visitor:
        first, flags = cookie_of(await visitor.log_in())
        assert first.startswith("__Host-hookline_session_443=")
        assert flags == {"HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=86400"}, "and no Domain"
        headers = {"Cookie": first}
        page = await visitor.get("/", headers)
        out = await visitor.post("/logout", page.form("/logout").fields, headers)
        name, flags = cookie_of(out)
        assert name == '__Host-hookline_session_443=""'
        assert {"Secure", "Path=/", "Max-Age=0"} <= flags
        # One of that name without the prefix is a sibling's, and is not looked at.
        done = await visitor.log_in()
        await visitor.get("/", {"Cookie": cookie_of(done)[0].removeprefix("__Host-")}, status=303)


@pytest.mark.parametrize("claim", [{"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "https, http"}, {}])
async def test_without_the_setting_nobody_says_that_there_is_tls(
    console: Running, stranger: Visitor, claim: dict[str, str]
) -> None:
    await console.make(name="a")
    await console.make(name="b")
    headers = {**claim, "Authorization": f"JWT {console.token}"}
    _, body = await console.call("GET", f"{HUB}?page_size=1", headers=headers)
    assert body["next"].startswith(f"{console.base}{HUB}")
    done = await stranger.post("/login", {"username": "admin", "password": PASSWORD}, claim)
    assert "Secure" not in cookie_of(done)[1]
    assert "Strict-Transport-Security" not in done.headers


@pytest.mark.parametrize("host", ["evil.example", "hookline.example.com", "[::1]:8080", "a$(id)b"])
@pytest.mark.parametrize("url", ["", PUBLIC, f"{PUBLIC}:8443/", "http://127.0.0.1:8080"])
async def test_links_are_those_of_the_setting(tmp_path: Path, url: str, host: str) -> None:
    async with public(tmp_path, url) as console:
        await console.make(name="a")
        await console.make(name="b")
        claim = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Host": host}
        headers = {**claim, "Authorization": f"JWT {console.token}"}
        _, body = await console.call("GET", f"{HUB}?page_size=1", headers=headers)
        own = f"http://{host}" if "$" not in host else ""
        assert body["next"].startswith((url.rstrip("/") or own) + HUB)


@pytest.mark.parametrize("url", ["", PUBLIC])
async def test_every_answer_says_how_it_is_to_be_taken(tmp_path: Path, url: str) -> None:
    """Of the API, of pages, of errors and of the door, with and without a session."""
    async with public(tmp_path, url) as console:
        seen = []
        paths = [r.resource.canonical for r in console.app.router.routes() if r.resource is not None]
        paths += ["/nothing", "/api/nothing", "/v2/", "/%00", "/api/%ff"]
        for path in paths:
            for method in ("GET", "POST", "PUT"):
                for headers in ({}, {"Authorization": f"JWT {console.token}"}):
                    target = console.base + path.replace("{", "").replace("}", "").replace(":.+", "")
                    request = console.http.request(method, target, headers=headers, allow_redirects=False)
                    async with request as answer:
                        seen.append((method, path, answer.status))
                        assert answer.headers["X-Content-Type-Options"] == "nosniff", seen[-1]
                        assert answer.headers["Cache-Control"] == "no-store", seen[-1]
                        hsts = answer.headers.get("Strict-Transport-Security")
                        assert hsts == (f"max-age={YEAR_S}; includeSubDomains" if url else None), seen[-1]
                        if "login" in path:
                            console.clock.advance(120)  # what was wrong is forgotten
                        if (method, path) == ("POST", "/v2/logout"):
                            console.token = (await login(console))["token"]
        assert {status for _, _, status in seen} >= {200, 303, 400, 401, 404, 405}


async def login(console: Running) -> dict[str, str]:
    _, body = await console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
    given: dict[str, str] = body
    return given


async def test_forms_come_from_the_public_url(tmp_path: Path) -> None:
    """Where a proxy sends its own Host on, and the browser says nothing but the origin."""
    async with public(tmp_path) as console, visiting(console.base) as visitor:
        fields = {"username": "admin", "password": PASSWORD}
        assert (await visitor.post("/login", fields, {"Origin": PUBLIC})).status == 303
        for other in (f"{PUBLIC}.evil.example", "http://hookline.example.com", "null"):
            assert (await visitor.post("/login", fields, {"Origin": other})).status == 403


async def test_two_logins_at_once_are_two_sessions(console: Running) -> None:
    tokens = [said["token"] for said in await asyncio.gather(*(login(console) for _ in range(8)))]
    assert len(set(tokens)) == 8
