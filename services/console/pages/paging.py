"""A page of a list, as templates show it; the same `?page=&page_size=` as the API."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from aiohttp import web

from services.console.api.paging import PageAsked

__all__ = ["Shown", "shown"]

Entry = TypeVar("Entry")


class Shown(NamedTuple, Generic[Entry]):
    """`first` and `last`: which of `total` these are, from 1; `newer`, `older`: the pages beside it (null: none)."""

    entries: Sequence[Entry]
    total: int
    first: int
    last: int
    newer: str | None
    older: str | None


def shown(request: web.Request, asked: PageAsked, total: int, entries: Sequence[Entry]) -> Shown[Entry]:
    """Raises HTTPNotFound for a page past the last."""
    if asked.number > 1 and not entries:
        raise web.HTTPNotFound(text="This list has no such page.")
    before = (asked.number - 1) * asked.size

    def beside(number: int) -> str:
        return str(request.rel_url.update_query(page=str(number)))

    return Shown(
        entries,
        total,
        before + 1 if entries else 0,
        before + len(entries),
        beside(asked.number - 1) if before else None,
        beside(asked.number + 1) if before + asked.size < total else None,
    )
