"""Lists as Docker Hub answers them: `{"count", "next", "previous", "results"}`."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from aiohttp import web

from hookline.errors import Invalid
from services.console.api.json_shapes import Json

__all__ = ["PUBLIC_URL", "PageAsked", "envelope", "link_of", "page_asked"]

Entry = TypeVar("Entry")

PUBLIC_URL = web.AppKey("public_url", str)
"""On an app: HOOKLINE_PUBLIC_CONSOLE_URL, or nothing."""
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")

PAGE_SIZE = 25
MAX_PAGE_SIZE = 250
MAX_PAGE = 1_000_000


class PageAsked(NamedTuple):
    """Page `number` from 1, of `size` entries."""

    number: int
    size: int

    def part(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """That page of a whole list."""
        return entries[(self.number - 1) * self.size : self.number * self.size]


def page_asked(request: web.Request) -> PageAsked:
    """`?page=&page_size=`; a size over 250 is 250. Raises Invalid."""
    return PageAsked(
        _number(request, "page", 1, MAX_PAGE), min(_number(request, "page_size", PAGE_SIZE), MAX_PAGE_SIZE)
    )


def envelope(
    request: web.Request, asked: PageAsked, total: int, entries: Sequence[Entry], to_json: Callable[[Entry], Json]
) -> Json:
    """Raises HTTPNotFound for a page past the last."""
    if asked.number > 1 and not entries:
        raise web.HTTPNotFound
    has_next = asked.number * asked.size < total
    return {
        "count": total,
        "next": _page_url(request, asked.number + 1) if has_next else None,
        "previous": _page_url(request, asked.number - 1) if asked.number > 1 else None,
        "results": [to_json(entry) for entry in entries],
    }


def link_of(request: web.Request) -> Callable[[str], str]:
    """A path to the address that the client would use: that of HOOKLINE_PUBLIC_CONSOLE_URL.

    Where it is not set, the one that the client itself used, for it alone (no answer is stored): a path, if that is odd.
    """
    base = request.app.get(PUBLIC_URL, "")
    if not base and _HOST.fullmatch(request.host) is not None:
        base = f"{request.scheme}://{request.host}"
    return lambda path: f"{base}{path}"


def _page_url(request: web.Request, number: int) -> str:
    return link_of(request)(str(request.rel_url.update_query(page=str(number))))


def _number(request: web.Request, name: str, default: int, most: int | None = None) -> int:
    text = request.query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if number < 1 or (most is not None and number > most):
        raise Invalid({name: ["Must be a whole number from 1."]})
    return number
