"""Login, sessions and the guard before the API."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hookline.errors import ConfigError
from hookline.settings import Settings
from services.console.administrator import Administrator
from services.console.api.login import LOGIN_BYTES
from tests.unit.console.running import PASSWORD, Running, running

LOGIN = "/v2/users/login/"


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
    assert [(line["trail"], line["by"], line["address"]) for line in lines if "trail" in line] == [
        ("login", "admin", address)
    ] * 2


@pytest.mark.parametrize("path", ["/api/pipelines", "/v2/repositories/a/b/webhook_pipeline/", "/api/nothing", "/v2/"])
@pytest.mark.parametrize("authorization", ["", "JWT", "JWT x.y.z", "Basic YTpi"])
async def test_nothing_without_a_session(console: Running, path: str, authorization: str) -> None:
    status, body = await console.call("GET", path, headers={"Authorization": authorization})
    assert status == 401
    assert set(body) == {"detail"}


@pytest.mark.parametrize(
    ("missing", "said"), [("admin_password", "ADMIN_PASSWORD"), ("admin_username", "ADMIN_USERNAME")]
)
def test_no_console_without_a_password(missing: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"HOOKLINE_{said} is empty"):
        Administrator(Settings(**{"admin_password": PASSWORD} | {missing: ""}))  # type: ignore[arg-type]
