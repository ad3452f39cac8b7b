"""The door of every app: what cannot be read as text in one way is 400 with words, before any route or handler sees it.

HTTP's head is bytes. aiohttp decodes it leniently, so that a byte which is no UTF-8 becomes half of a surrogate pair, and whoever
encodes that later fails; and no database of ours keeps NUL.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from aiohttp import web, web_response

from hookline.web.middleware import REQUESTS, json_error

__all__ = ["ANSWER_HEADERS", "FOREIGN_HEADERS", "READ_HEADERS", "SERVER", "DoorRunner", "fault_of", "is_text"]

FOREIGN_HEADERS = web.AppKey("foreign_headers", bool)
"""True on an app whose handlers take headers as bytes, or replace what is no text: they must lose no request for one."""
ANSWER_HEADERS = web.AppKey("answer_headers", Mapping[str, str])
"""On an app: headers of every answer that does not say otherwise itself; of the door's own, too."""
READ_HEADERS = frozenset(
    {
        "authorization", "content-encoding", "content-type", "expect", "forwarded", "idempotency-key", "if-match",
        "hookline-refresh", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "origin", "range",
        "sec-fetch-site", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    }
)  # fmt: skip
"""Headers whose words somebody here goes by. Any other may hold what it likes: proxies and other sites' cookies are not ours."""
NO_HEADERS: Mapping[str, str] = {}
ALWAYS_READ = frozenset({"expect"})
"""By aiohttp, whatever the app."""
SERVER = "hookline"
"""What answers say of their server: no version."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{1,5})?")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def is_text(text: str) -> bool:
    """Can it be encoded, and kept by a database?"""
    return _NO_TEXT.search(text) is None


def fault_of(request: web.BaseRequest, read: frozenset[str]) -> str | None:
    """What of its head is no text, in words; None for nothing. read: names of headers, in lower case."""
    if not _is_host(request):
        return "The Host header must be a host, or a host and a port."
    if not _is_encoded(request.rel_url.raw_path):
        return "The path must be UTF-8 without null characters."
    if not _is_encoded(request.rel_url.raw_query_string):
        return "The query must be UTF-8 without null characters."
    for name, value in request.headers.items():
        if name.lower() in read and not is_text(value):
            return f"The header {name} must be UTF-8."
    return None


def _is_host(request: web.BaseRequest) -> bool:
    """Of RFC 9110 7.2's grammar, and taken apart by whoever asks for `request.url`."""
    try:
        return _HOST.fullmatch(request.host) is not None and request.url.port is not None
    except ValueError:  # of yarl; UnicodeError is one
        return False


def _is_encoded(raw: str) -> bool:
    try:
        return is_text(unquote_to_bytes(raw).decode())
    except UnicodeError:
        return False


class DoorRunner(web.AppRunner):
    """Runs an app behind the door."""

    async def setup(self) -> None:
        vars(web_response)["SERVER_SOFTWARE"] = SERVER  # also for what aiohttp answers by itself: no signal sees that
        headers = self.app.get(ANSWER_HEADERS, NO_HEADERS)
        self.app.on_response_prepare.append(_adding(headers))
        await super().setup()
        assert self.server is not None
        read = ALWAYS_READ if self.app.get(FOREIGN_HEADERS, False) else READ_HEADERS
        self.server.request_handler = _guarded(self.server.request_handler, read, headers)


def _adding(headers: Mapping[str, str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def add(_: web.Request, answer: web.StreamResponse) -> None:
        for name, value in headers.items():
            answer.headers.setdefault(name, value)

    return add


def _guarded(handler: Handler, read: frozenset[str], headers: Mapping[str, str]) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if (fault := fault_of(request, read)) is None:
            return await handler(request)
        REQUESTS.labels(request.method, "none", HTTPStatus.BAD_REQUEST.value).inc()
        answer = json_error(HTTPStatus.BAD_REQUEST, {"detail": fault})
        answer.headers.update(headers)
        return answer

    return handle
