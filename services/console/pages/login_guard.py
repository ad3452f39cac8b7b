"""Before every page: signed in, and no form from elsewhere. After it: headers, and errors as pages."""

import hmac
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Middleware
from yarl import URL

from hookline.errors import Invalid, LogError, Unavailable
from hookline.web.body import read_body
from hookline.web.door import is_text
from hookline.web.middleware import Handler, log_answer
from services.console.api.login import API
from services.console.api.paging import PUBLIC_URL
from services.console.pages.addresses import local_path
from services.console.pages.rendering import FORM_TOKEN, Renderer
from services.console.sessions import Sessions
from services.console.trail import SESSION, USER

__all__ = ["LOGIN", "LOGOUT", "STATIC", "cookie_name", "is_https", "pages_guard", "read_form", "see_other"]

LOGIN, LOGOUT, STATIC = "/login", "/logout", "/static/{name}"
FORM_BYTES = 16 * 1024
FORM = web.RequestKey("form", dict[str, str])
READING = ("GET", "HEAD")
REFRESH = "Hookline-Refresh"
"""What a page says that keeps itself up to date: nobody uses it, so its session may become idle."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would send `Origin: null` with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
KEEP_STATIC_S = 86_400


def pages_guard(sessions: Sessions, renderer: Renderer) -> Middleware:
    """Whatever is not the API's path is a page's, also where there is no such page."""

    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in READING and _is_foreign(request):
            return renderer.error(
                request, HTTPStatus.FORBIDDEN, "This form was sent by another site. Nothing was done."
            )
        if _route(request) == STATIC:
            return await handler(request)
        token = request.cookies.get(cookie_name(request), "")
        session = await sessions.find(token, is_use=REFRESH not in request.headers) if token else None
        if session is not None:
            request[USER], request[SESSION], request[FORM_TOKEN] = session.user, session, form_token(token)
        if _route(request) == LOGIN:
            return await handler(request)
        if session is None:
            return _sent_to_login(request, renderer)
        if request.method not in READING:
            given = (await read_form(request)).get("token", "")
            if not hmac.compare_digest(given.encode(), request[FORM_TOKEN].encode()):
                said = "This form is from an earlier session. Nothing was done: reload the page."
                return renderer.error(request, HTTPStatus.FORBIDDEN, said)
        return await handler(request)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(API):
            return await handler(request)
        try:
            answer = await guarded(request, handler)
        except web.HTTPException as error:
            answer = renderer.error(request, HTTPStatus(error.status), _words(error))
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
        except Invalid as error:
            answer = renderer.error(request, HTTPStatus.BAD_REQUEST, str(error))
        except Unavailable as error:
            answer = renderer.error(request, HTTPStatus.SERVICE_UNAVAILABLE, f"Not now: {error}.", error.retry_after_s)
        except LogError as error:
            status, detail, retry_after_s = log_answer(error)
            said = f"Not now: {detail}." if retry_after_s is not None else f"This is {detail}."
            answer = renderer.error(request, status, said, retry_after_s)
        answer.headers.update(HEADERS)
        is_static = _route(request) == STATIC and answer.status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
        answer.headers["Cache-Control"] = f"max-age={KEEP_STATIC_S}" if is_static else "no-store"
        return answer

    return guard


def is_https(request: web.Request) -> bool:
    """Is TLS between the browser and us? Only our own setting says so, never a header."""
    return request.app[PUBLIC_URL].startswith("https:")


def cookie_name(request: web.Request) -> str:
    """Browsers share cookies between ports: two consoles on one machine must not end each other's sessions.

    With `__Host-` no other host, a subdomain's or a parent's, can plant one; browsers take it over TLS only.
    """
    url = URL(request.app[PUBLIC_URL] or f"http://{request.host}")
    return f"{'__Host-' if is_https(request) else ''}hookline_session_{url.port}"


def form_token(token: str) -> str:
    """What every form of a session carries: nobody who cannot read our pages or the cookie knows it."""
    return hmac.digest(token.encode(), b"hookline form", sha256).hex()


async def read_form(request: web.Request, limit: int = FORM_BYTES) -> dict[str, str]:
    """The fields of a form, the last of each name; read once for guard and handler. Raises Invalid, and as `read_body`."""
    if FORM not in request:
        request[FORM] = _fields(await read_body(request, limit))
    return request[FORM]


def _fields(body: bytes) -> dict[str, str]:
    """Raises Invalid."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise Invalid({"non_field_errors": ["The form must be UTF-8."]}) from None
    if not all(is_text(text) for field in fields for text in field):
        raise Invalid({"non_field_errors": ["The form must not have null characters."]})
    return dict(fields)


def see_other(path: str) -> web.Response:
    """Go on with a GET of that path (of ours)."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": str(URL(path))})


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical.rstrip("/")


def _is_foreign(request: web.Request) -> bool:
    """Does a page of another origin send this? As Go's http.CrossOriginProtection; what sends neither header is no browser."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin != request.app[PUBLIC_URL] and origin.partition("://")[2] != request.host


def _sent_to_login(request: web.Request, renderer: Renderer) -> web.StreamResponse:
    if request.method not in READING:
        return see_other(LOGIN)
    path = local_path(str(request.rel_url))
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # A link on another site: SameSite=Strict holds the cookie back. A page of ours that goes there brings it along.
        return renderer.page(request, "onward.html", path=path)
    return see_other(LOGIN if path == "/" else str(URL(LOGIN).with_query(next=path)))


def _words(error: web.HTTPException) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return error.text if error.text and not error.text.startswith("404") else "There is no such page."
    return f"{error.reason}."
