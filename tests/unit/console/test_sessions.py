"""Sessions: how they begin, where they stand, and how they end; on both databases, and as two replicas see them."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hookline.chain.keys import KeyRing
from hookline.errors import Unavailable
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.console.readmodel.database import Database, ask_for_rebuild, open_database, prepare
from services.console.session_store import Session, open_session_store
from services.console.sessions import FRESH_S, MOST, SESSION_S, TOUCH_MS, Sessions
from tests.unit.console.histories import LOG_ID
from tests.unit.console.running import KEY, PASSWORD, Running, running

IDLE_MINUTES = 30
DAY_MS = SESSION_S * 1000


class Replicas:
    """Consoles' sessions over one database; `new` makes another one."""

    def __init__(self, settings: Settings) -> None:
        self.clock = ManualClock()
        self._settings = settings
        self._made: list[Sessions] = []

    def new(self, **changed: object) -> Sessions:
        given = {"master_keys": [KEY], "admin_password": PASSWORD, "console_idle_minutes": IDLE_MINUTES} | changed
        settings = self._settings.model_copy(update=Settings(**given).model_dump(include=given.keys()))  # type: ignore[arg-type]
        number = len(self._made)
        ids = (f"{number}-{n}" for n in range(MOST * 2))
        store = open_session_store(settings)
        made = Sessions(settings, settings.key_ring(), self.clock, store, lambda: next(ids))
        self._made.append(made)
        return made

    def close(self) -> None:
        for sessions in self._made:
            sessions.close()


@pytest_asyncio.fixture
async def replicas(database_settings: Settings) -> AsyncIterator[Replicas]:
    made = Replicas(database_settings)
    yield made
    made.close()


async def test_a_session_is_good_on_every_replica_and_over_restarts(replicas: Replicas) -> None:
    token, session = await replicas.new().begin("192.0.2.1", "API")
    for _ in range(2):
        assert await replicas.new().find(token) == session
    assert (session.user, session.address, session.entry) == ("admin", "192.0.2.1", "API")


async def test_what_one_replica_ended_is_good_on_none(replicas: Replicas) -> None:
    one, other = replicas.new(), replicas.new()
    begun = [await one.begin("192.0.2.1", "pages") for _ in range(3)]
    for token, session in begun:
        assert await other.find(token) == session
    (first, gone), (kept, own), (third, _) = begun
    assert await one.end(gone.id)
    assert await other.find(first) is None
    assert not await other.end(gone.id), "it has ended already"
    assert await other.end_others(own) == 1
    assert await one.find(third) is None
    assert await one.find(kept) == own
    # Nor does a use that was under way bring it back.
    replicas.clock.advance(TOUCH_MS / 1000)
    assert await one.find(first) is None
    assert (await other.page(10, 0))[0] == 1


async def test_a_session_ends_after_a_day_however_much_it_is_used(replicas: Replicas) -> None:
    sessions = replicas.new()
    token, session = await sessions.begin("192.0.2.1", "API")
    with capture_logs() as lines:
        for _ in range(SESSION_S // 600 - 1):
            replicas.clock.advance(600)
            assert await sessions.find(token) is not None
        replicas.clock.advance(599)
        assert await sessions.find(token) is not None
        assert lines == []
        replicas.clock.advance(1)
        assert await sessions.find(token) is None
        assert await sessions.find(token) is None
    assert [(line["trail"], line["by"], line["address"], line["session"], line["why"]) for line in lines] == [
        ("session_ended", "admin", "192.0.2.1", session.id, "over")
    ]


async def test_an_unused_session_ends(replicas: Replicas) -> None:
    sessions = replicas.new()
    token, _ = await sessions.begin("192.0.2.1", "pages")
    for is_use in (True, False):
        replicas.clock.advance(IDLE_MINUTES * 60)
        assert await sessions.find(token, is_use=is_use) is not None, "not a moment early"
    replicas.clock.advance(TOUCH_MS / 1000)
    with capture_logs() as lines:
        assert await sessions.find(token) is None, "a page that keeps itself up to date is no use"
    assert [line["why"] for line in lines] == ["unused"]


@pytest.mark.parametrize("by_login", [True, False])
async def test_what_nobody_asks_for_again_is_swept(replicas: Replicas, by_login: bool) -> None:
    sessions = replicas.new()
    begun = [await sessions.begin("192.0.2.1", "API") for _ in range(3)]
    replicas.clock.advance(IDLE_MINUTES * 60 + TOUCH_MS / 1000)
    with capture_logs() as lines:
        if by_login:
            await sessions.begin("192.0.2.1", "API")
        else:
            assert await sessions.page(10, 0) == (0, [])
    assert sorted(line["session"] for line in lines) == [session.id for _, session in begun]


async def test_sessions_are_bounded(database_settings: Settings) -> None:
    store = open_session_store(database_settings)
    for number in range(5):
        store.add(Session(f"s{number}", "admin", "192.0.2.1", "API", 0, number, DAY_MS), "c")
    assert [session.id for session in store.end_beyond(3)] == ["s1", "s0"]
    assert store.end_beyond(3) == []
    assert [session.id for session in store.page(["c"], 2, 1)[1]] == ["s3", "s2"]
    store.close()


async def test_another_password_ends_the_sessions_of_the_old_one(replicas: Replicas) -> None:
    sessions, other = replicas.new(), replicas.new(admin_password="another password")
    token, _ = await sessions.begin("192.0.2.1", "API")
    assert await other.find(token) is None
    assert await other.page(10, 0) == (0, [])
    assert (await sessions.page(10, 0))[0] == 1


async def test_a_new_first_key_leaves_old_sessions_good(replicas: Replicas) -> None:
    new = KEY.replace("k1:", "k2:")
    token, session = await replicas.new().begin("192.0.2.1", "API")
    both = replicas.new(master_keys=[new, KEY])
    assert await both.find(token) == session
    assert (await both.page(10, 0))[1] == [session]
    assert await replicas.new(master_keys=[new]).find(token) is None


async def test_forged_tokens(replicas: Replicas) -> None:
    sessions = replicas.new()
    token, session = await sessions.begin("192.0.2.1", "API")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sid"] == session.id
    key = KeyRing.parse([KEY]).session_key("k1")
    without_id = {name: value for name, value in claims.items() if name != "sid"}
    for forged in (
        jwt.encode(claims, "k" * 32, "HS256", headers={"kid": "k1"}),
        jwt.encode(claims, key, "HS256"),
        jwt.encode(claims, None, "none", headers={"kid": "k1"}),
        jwt.encode(without_id, key, "HS256", headers={"kid": "k1"}),
        jwt.encode(claims | {"sid": "another"}, key, "HS256", headers={"kid": "k1"}),
        jwt.encode(claims | {"pwd": "x"}, key, "HS256", headers={"kid": "k1"}),
        "",
        "a.b.c",
        "\u00fc",
    ):
        assert await sessions.find(forged) is None
    assert await sessions.find(token) == session


async def test_the_password_is_fresh_for_minutes(replicas: Replicas) -> None:
    sessions = replicas.new()
    token, session = await sessions.begin("192.0.2.1", "API")
    replicas.clock.advance(FRESH_S - 1)
    assert sessions.is_fresh(session)
    replicas.clock.advance(1)
    used = await sessions.find(token)
    assert used is not None
    assert not sessions.is_fresh(used)


async def test_a_rebuild_of_the_read_model_leaves_sessions_alone(replicas: Replicas, database: Database) -> None:
    sessions = replicas.new()
    kept, session = await sessions.begin("192.0.2.1", "API")
    ended, gone = await sessions.begin("192.0.2.1", "API")
    await sessions.end(gone.id)
    with database.write() as connection:
        prepare(connection, LOG_ID, {})
        ask_for_rebuild(connection)
    with database.write() as connection:
        prepare(connection, LOG_ID, {})
    assert await sessions.find(kept) == session
    assert await sessions.find(ended) is None


@pytest.mark.parametrize("at_once", [8])
def test_replicas_that_start_at_once(database_settings: Settings, at_once: int) -> None:
    """As processes do: each has its own connections."""
    is_sqlite = not database_settings.database_url.get_secret_value()
    stores = [open_session_store(database_settings) for _ in range(1 if is_sqlite else at_once)]
    with ThreadPoolExecutor(at_once) as threads:
        found = list(threads.map(lambda store: store.get("none"), stores))
    assert found == [None] * len(stores)
    for store in stores:
        store.close()


def breakages(file: Path) -> list[Callable[[], object]]:
    return [lambda: file.write_bytes(b"no database" * 500), lambda: file.unlink()]


@pytest.mark.parametrize("number", range(2))
async def test_a_database_that_was_lost_ends_all_sessions(tmp_path: Path, number: int) -> None:
    settings = Settings(data_dir=tmp_path)
    before = Replicas(settings)
    token, session = await before.new().begin("192.0.2.1", "API")
    await before.new().end(session.id)
    other, _ = await before.new().begin("192.0.2.1", "API")
    before.close()
    file = tmp_path / "console-sessions.sqlite3"
    assert file.stat().st_mode & 0o777 == 0o600
    breakages(file)[number]()
    after = Replicas(settings)
    sessions = after.new()
    assert [await sessions.find(each) for each in (token, other)] == [None, None]
    again, begun = await sessions.begin("192.0.2.1", "API")
    assert await sessions.find(again) == begun
    after.close()


@pytest.mark.parametrize(("beside", "level"), [("", 1), ("-sessions", 2)])
def test_what_stands_nowhere_else_outlives_a_power_cut(tmp_path: Path, beside: str, level: int) -> None:
    """SQLite's words: 1 is NORMAL, with which the last commits may be lost; 2 is FULL."""
    database = open_database(Settings(data_dir=tmp_path), beside)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    database.close()


async def test_without_its_database_nobody_is_let_in(tmp_path: Path) -> None:
    """And it is asked only about tokens that are ours."""
    away = Settings(data_dir=tmp_path, database_url=f"postgresql://u:p@/d?host={tmp_path}")  # type: ignore[arg-type]
    here, there = Replicas(Settings(data_dir=tmp_path)), Replicas(away)
    token, _ = await here.new().begin("192.0.2.1", "API")
    sessions = there.new()
    assert await sessions.find("a.b.c") is None
    with pytest.raises(Unavailable):
        await sessions.find(token)
    with pytest.raises(Unavailable):
        await sessions.begin("192.0.2.1", "API")
    here.close()
    there.close()


async def test_logout_by_the_api_ends_the_token_on_every_replica(console: Running, tmp_path: Path) -> None:
    async with running(tmp_path, console.cluster) as other:  # the same folder, and so the same database
        other.token = console.token
        assert await other.get("/api/pipelines")
        assert await console.call("POST", "/v2/logout/") == (200, {"detail": "Logged out."})
        assert (await other.call("GET", "/api/pipelines"))[0] == 401
        assert (await other.call("POST", "/v2/logout/"))[0] == 401


async def test_a_secret_is_for_who_gave_the_password_just_now(console: Running) -> None:
    made = await console.make()
    path = f"/api/hooks/{made['webhooks'][0]['id']}/secret"
    assert (await console.get(path))["secret"].startswith("whsec_")
    console.clock.advance(FRESH_S)
    status, said = await console.call("GET", path)
    assert (status, list(said)) == (401, ["detail"])
    headers = {"Authorization": f"JWT {console.token}"}
    async with console.http.get(console.base + path, headers=headers) as answer:
        asked = answer.headers["WWW-Authenticate"]
    assert asked == 'Bearer realm="hookline", error="insufficient_user_authentication", max_age="300"'
    assert await console.get("/api/pipelines"), "for everything else it is good"
    _, fresh = await console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
    console.token = fresh["token"]
    assert (await console.get(path))["secret"].startswith("whsec_")
