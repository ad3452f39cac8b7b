"""Login and logout: a session's token as a cookie that scripts cannot read and other sites cannot send."""

from http import HTTPStatus

from aiohttp import web

from hookline.web.client_address import client_address
from services.console.api.login import LOGIN_BYTES, USER
from services.console.login_limit import LoginLimit, sign_in
from services.console.pages.addresses import local_path
from services.console.pages.guard import LOGIN, cookie_name, read_form, see_other
from services.console.pages.rendering import Renderer
from services.console.sessions import SESSION_S, Sessions

__all__ = ["LoginPages"]


class LoginPages:
    """Handlers."""

    def __init__(self, renderer: Renderer, sessions: Sessions, limit: LoginLimit) -> None:
        self._renderer = renderer
        self._sessions = sessions
        self._limit = limit

    async def form(self, request: web.Request) -> web.Response:
        """`?next=`: the path one wanted to go to."""
        wanted = local_path(request.query.get("next", "/"))
        return see_other(wanted) if USER in request else self._renderer.page(request, "login.html", next=wanted)

    async def login(self, request: web.Request) -> web.Response:
        form = await read_form(request, LOGIN_BYTES)
        name, wanted = form.get("username", ""), local_path(form.get("next", "/"))
        signed_in = await sign_in(self._sessions, self._limit, client_address(request), name, form.get("password", ""))
        if signed_in.token is None:
            return self._refused(request, name, wanted, signed_in.wait_s)
        answer = see_other(wanted)
        answer.set_cookie(
            cookie_name(request),
            signed_in.token,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_is_https(request),
        )
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        answer = see_other(LOGIN)
        answer.del_cookie(cookie_name(request), path="/", httponly=True, samesite="Strict", secure=_is_https(request))
        return answer

    def _refused(self, request: web.Request, name: str, wanted: str, wait_s: int) -> web.Response:
        status = HTTPStatus.TOO_MANY_REQUESTS if wait_s else HTTPStatus.FORBIDDEN
        said = f"Too many logins at once. Try again in {wait_s} seconds." if wait_s else "Wrong name or password."
        answer = self._renderer.page(request, "login.html", status, next=wanted, name=name, said=said)
        if wait_s:
            answer.headers["Retry-After"] = str(wait_s)
        return answer


def _is_https(request: web.Request) -> bool:
    """Also where a proxy before us ends TLS."""
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
