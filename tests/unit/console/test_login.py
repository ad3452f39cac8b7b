"""Login, sessions and the guard before the API."""

import json
from pathlib import Path

import jwt
import pytest
from structlog.testing import capture_logs

from hookline.clock import ManualClock
from hookline.errors import ConfigError
from hookline.settings import Settings
from services.console.api.login import LOGIN_BYTES
from services.console.sessions import Sessions
from tests.unit.console.running import KEY, PASSWORD, Running, running

LOGIN = "/v2/users/login/"


def sessions(clock: ManualClock, **changed: object) -> Sessions:
    settings = Settings(**{"master_keys": [KEY], "admin_password": PASSWORD} | changed)
    return Sessions(settings, settings.key_ring(), clock)


async def test_login_gives_a_token_for_both_schemes(console: Running) -> None:
    status, body = await console.call("POST", LOGIN, {"username": "admin", "password": PASSWORD})
    assert status == 200
    assert list(body) == ["token"]
    for scheme in ("JWT", "Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {body['token']}"}
        assert (await console.call("GET", "/api/pipelines", headers=headers))[0] == 200


async def test_a_body_of_any_content_type_is_json(console: Running) -> None:
    body = json.dumps({"username": "admin", "password": PASSWORD})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with console.http.post(console.base + LOGIN, data=body, headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"username": "admin", "password": "wrong"}, 401, {"detail": "Incorrect authentication credentials."}),
        ({"username": "Admin", "password": PASSWORD}, 401, {"detail": "Incorrect authentication credentials."}),
        ({"username": "admin"}, 400, {"password": ["This field is required."]}),
        ({"username": 1, "password": PASSWORD}, 400, {"username": ["Must be a text."]}),
        ([], 400, {"non_field_errors": ["The body must be a JSON object."]}),
    ],
)
async def test_login_refuses(console: Running, body: object, status: int, said: object) -> None:
    assert await console.call("POST", LOGIN, body) == (status, said)


async def test_little_is_read_of_who_has_proved_nothing(console: Running) -> None:
    long = "x" * LOGIN_BYTES
    assert (await console.call("POST", LOGIN, {"username": long, "password": PASSWORD}))[0] == 413
    async with console.http.post(console.base + "/login", data={"username": long}) as answer:
        assert answer.status == 413


@pytest.mark.parametrize(("trusted", "address"), [((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.9")])
async def test_a_failed_login_is_that_of_the_client_whom_a_trusted_proxy_names(
    tmp_path: Path, trusted: tuple[str, ...], address: str
) -> None:
    headers = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9"}
    wrong = {"username": "admin", "password": "wrong"}
    async with running(tmp_path, settings={"trusted_proxies": trusted}) as console:
        with capture_logs() as lines:
            assert (await console.call("POST", LOGIN, wrong, headers=headers))[0] == 401
            async with console.http.post(console.base + "/login", data=wrong, headers=headers) as answer:
                assert answer.status == 403
    assert [line["address"] for line in lines if line["event"] == "login refused"] == [address] * 2


@pytest.mark.parametrize("path", ["/api/pipelines", "/v2/repositories/a/b/webhook_pipeline/", "/api/nothing", "/v2/"])
@pytest.mark.parametrize("authorization", ["", "JWT", "JWT x.y.z", "Basic YTpi"])
async def test_nothing_without_a_session(console: Running, path: str, authorization: str) -> None:
    status, body = await console.call("GET", path, headers={"Authorization": authorization})
    assert status == 401
    assert set(body) == {"detail"}


def test_a_session_ends_after_a_day_and_outlives_a_restart() -> None:
    clock = ManualClock()
    token = sessions(clock).sign_in("admin", PASSWORD)
    assert token is not None
    clock.advance(86_399)
    assert sessions(clock).user_of(token) == "admin"
    clock.advance(1)
    assert sessions(clock).user_of(token) is None


def test_another_password_ends_the_sessions_of_the_old_one() -> None:
    clock = ManualClock()
    token = sessions(clock).sign_in("admin", PASSWORD)
    assert token is not None
    assert sessions(clock, admin_password="another password").user_of(token) is None


def test_a_new_first_key_leaves_old_sessions_good() -> None:
    clock, new = ManualClock(), KEY.replace("k1:", "k2:")
    token = sessions(clock).sign_in("admin", PASSWORD)
    assert token is not None
    assert sessions(clock, master_keys=[new, KEY]).user_of(token) == "admin"
    assert sessions(clock, master_keys=[new]).user_of(token) is None


def test_forged_tokens() -> None:
    clock = ManualClock()
    claims = {"sub": "admin", "exp": clock.now_ms() // 1000 + 1000, "pwd": "x"}
    for token in (
        jwt.encode(claims, "k" * 32, "HS256", headers={"kid": "k1"}),
        jwt.encode(claims, "k" * 32, "HS256"),
        jwt.encode(claims, None, "none", headers={"kid": "k1"}),
        "",
        "a.b.c",
    ):
        assert sessions(clock).user_of(token) is None


@pytest.mark.parametrize(
    ("missing", "said"), [("admin_password", "ADMIN_PASSWORD"), ("admin_username", "ADMIN_USERNAME")]
)
def test_no_console_without_a_password(missing: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"HOOKLINE_{said} is empty"):
        sessions(ManualClock(), **{missing: ""})


async def test_a_session_is_good_on_another_replica(console: Running, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with running(tmp_path / "other", console.cluster) as other:
        other.token = console.token
        assert await other.get("/api/pipelines")
