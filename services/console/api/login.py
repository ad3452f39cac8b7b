"""`POST /v2/users/login/` and `/v2/logout/`, and the guard before everything else: `Authorization: JWT <token>` or `Bearer <token>`."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from hookline.errors import Invalid
from hookline.web.client_address import client_address
from hookline.web.middleware import Handler, json_error
from services.console.api.bodies import read_object
from services.console.login_limit import LoginLimit, sign_in
from services.console.sessions import FRESH_S, Sessions
from services.console.trail import SESSION, USER, note

__all__ = ["API", "LOGIN", "LOGIN_BYTES", "LOGOUT", "LoginApi", "api_guard", "not_fresh"]

API = ("/v2/", "/api/")
LOGIN, LOGOUT = "/v2/users/login", "/v2/logout"
LOGIN_BYTES = 8 * 1024
"""Of a body that is read before anybody has proved anything."""


class LoginApi:
    """Name and password to a session's token, and the session's end."""

    def __init__(self, sessions: Sessions, limit: LoginLimit) -> None:
        self._sessions = sessions
        self._limit = limit

    async def login(self, request: web.Request) -> web.Response:
        """`{"username", "password"}` -> `{"token"}` of a new session; 401; 429 where too many wait for their turn."""
        body = await read_object(request, LOGIN_BYTES)
        given = {name: body.get(name) for name in ("username", "password")}
        faults = {
            name: ["This field is required." if value is None else "Must be a text."]
            for name, value in given.items()
            if not isinstance(value, str)
        }
        if faults:
            raise Invalid(faults)
        address, name, password = client_address(request), str(given["username"]), str(given["password"])
        note(request, by=name if self._sessions.administrator.is_named(name) else "nobody")
        begun, wait_s = await sign_in(self._sessions, self._limit, address, "API", name, password)
        if wait_s:
            said = {"detail": f"Too many logins at once. Try again in {wait_s} seconds."}
            return json_error(HTTPStatus.TOO_MANY_REQUESTS, said, wait_s)
        if begun is None:
            return json_error(HTTPStatus.UNAUTHORIZED, {"detail": "Incorrect authentication credentials."})
        note(request, session=begun.session.id)
        return web.json_response({"token": begun.token})

    async def logout(self, request: web.Request) -> web.Response:
        """The token is good on no replica any more."""
        await self._sessions.end(request[SESSION].id)
        return web.json_response({"detail": "Logged out."})


def api_guard(sessions: Sessions) -> Middleware:
    """401 for the API without a session; sets `request[USER]` and `request[SESSION]`."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path
        if not path.startswith(API) or path.rstrip("/") == LOGIN:
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        session = await sessions.find(token.strip()) if scheme.lower() in ("jwt", "bearer") else None
        if session is None:
            said = "Authentication credentials were not provided." if not scheme else "The token is invalid or expired."
            answer = json_error(HTTPStatus.UNAUTHORIZED, {"detail": f"{said} POST /v2/users/login/ gives one."})
            answer.headers["WWW-Authenticate"] = 'JWT realm="hookline"'
            return answer
        request[USER], request[SESSION] = session.user, session
        return await handler(request)

    return guard


def not_fresh() -> web.Response:
    """401 as RFC 9470 has it: this session is good, and a newer one is asked for. A client that logs in again on 401 goes on."""
    said = f"The password was given more than {FRESH_S // 60} minutes ago. POST /v2/users/login/ gives a token that opens this."
    answer = json_error(HTTPStatus.UNAUTHORIZED, {"detail": said})
    answer.headers["WWW-Authenticate"] = (
        f'Bearer realm="hookline", error="insufficient_user_authentication", max_age="{FRESH_S}"'
    )
    return answer
