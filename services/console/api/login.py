"""`POST /v2/users/login/`, and the guard before everything else: `Authorization: JWT <token>` or `Bearer <token>`."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from hookline.errors import Invalid
from hookline.web.client_address import client_address
from hookline.web.middleware import Handler, json_error
from services.console.api.bodies import read_object
from services.console.login_limit import LoginLimit, sign_in
from services.console.sessions import Sessions

__all__ = ["LOGIN_BYTES", "USER", "LoginApi", "api_guard"]

USER = web.RequestKey("user", str)
"""Name of who is signed in."""

API = ("/v2/", "/api/")
LOGIN = "/v2/users/login"
LOGIN_BYTES = 8 * 1024
"""Of a body that is read before anybody has proved anything."""


class LoginApi:
    """Name and password to a session's token."""

    def __init__(self, sessions: Sessions, limit: LoginLimit) -> None:
        self._sessions = sessions
        self._limit = limit

    async def login(self, request: web.Request) -> web.Response:
        """`{"username", "password"}` -> `{"token"}`, good for 24 hours; 401; 429 where too many wait for their turn."""
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
        token, wait_s = await sign_in(self._sessions, self._limit, address, name, password)
        if wait_s:
            said = {"detail": f"Too many logins at once. Try again in {wait_s} seconds."}
            return json_error(HTTPStatus.TOO_MANY_REQUESTS, said, wait_s)
        if token is None:
            return json_error(HTTPStatus.UNAUTHORIZED, {"detail": "Incorrect authentication credentials."})
        return web.json_response({"token": token}, headers={"Cache-Control": "no-store"})


def api_guard(sessions: Sessions) -> Middleware:
    """401 for the API without a session; sets `request[USER]`."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path
        if not path.startswith(API) or path.rstrip("/") == LOGIN:
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = sessions.user_of(token.strip()) if scheme.lower() in ("jwt", "bearer") else None
        if user is None:
            said = (
                "Authentication credentials were not provided." if not scheme else "The token is not valid or is over."
            )
            answer = json_error(HTTPStatus.UNAUTHORIZED, {"detail": f"{said} POST /v2/users/login/ gives one."})
            answer.headers["WWW-Authenticate"] = 'JWT realm="hookline"'
            return answer
        request[USER] = user
        return await handler(request)

    return guard
