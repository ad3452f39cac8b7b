"""Login and logout: a session's token as a cookie that scripts cannot read and other sites cannot send."""

from http import HTTPStatus

from aiohttp import web
from yarl import URL

from hookline.web.client_address import client_address
from services.console.api.login import LOGIN_BYTES
from services.console.login_limit import LoginLimit, sign_in
from services.console.pages.addresses import local_path
from services.console.pages.login_guard import LOGIN, cookie_name, is_https, read_form, see_other
from services.console.pages.rendering import Renderer
from services.console.sessions import FRESH_S, SESSION_S, Sessions
from services.console.trail import SESSION, USER, note

__all__ = ["LoginPages"]


class LoginPages:
    """Handlers."""

    def __init__(self, renderer: Renderer, sessions: Sessions, limit: LoginLimit) -> None:
        self._renderer = renderer
        self._sessions = sessions
        self._limit = limit

    async def form(self, request: web.Request) -> web.Response:
        """`?next=`: the path one wanted to go to."""
        wanted = _wanted(request.query.get("next", "/"))
        return see_other(wanted) if USER in request else self._renderer.page(request, "login.html", next=wanted)

    def again(self, request: web.Request) -> web.Response:
        """In place of a page that is only for who gave the password just now."""
        said = f"Give the password again to see this: it was given more than {FRESH_S // 60} minutes ago."
        values = {"next": str(request.rel_url), "name": request[USER], "said": said}
        return self._renderer.page(request, "login.html", HTTPStatus.FORBIDDEN, **values)

    async def login(self, request: web.Request) -> web.Response:
        """Also of who is logged in: then the session before it ends, so no token outlives the password's next use."""
        form = await read_form(request, LOGIN_BYTES)
        name, wanted = form.get("username", ""), _wanted(form.get("next", "/"))
        note(request, by=name if self._sessions.administrator.is_named(name) else "nobody")
        address, password = client_address(request), form.get("password", "")
        begun, wait_s = await sign_in(self._sessions, self._limit, address, "pages", name, password)
        if begun is None:
            return self._refused(request, name, wanted, wait_s)
        note(request, session=begun.session.id)
        if SESSION in request and await self._sessions.end(request[SESSION].id):
            note(request, ended=request[SESSION].id)
        answer = see_other(wanted)
        answer.set_cookie(
            cookie_name(request),
            begun.token,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=is_https(request),
        )
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        """Answered when the session is good on no replica any more."""
        await self._sessions.end(request[SESSION].id)
        answer = see_other(LOGIN)
        answer.del_cookie(cookie_name(request), path="/", httponly=True, samesite="Strict", secure=is_https(request))
        return answer

    def _refused(self, request: web.Request, name: str, wanted: str, wait_s: int) -> web.Response:
        status = HTTPStatus.TOO_MANY_REQUESTS if wait_s else HTTPStatus.FORBIDDEN
        said = f"Too many logins at once. Try again in {wait_s} seconds." if wait_s else "Wrong name or password."
        answer = self._renderer.page(request, "login.html", status, next=wanted, name=name, said=said)
        if wait_s:
            answer.headers["Retry-After"] = str(wait_s)
        return answer


def _wanted(text: str) -> str:
    """The page to go on to; never the login's own."""
    path = local_path(text)
    return "/" if URL(path).path.rstrip("/") == LOGIN else path
