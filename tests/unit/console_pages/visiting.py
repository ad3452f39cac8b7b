"""A visitor with a cookie jar, and what a page has in it: links, forms, elements, text."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from aiohttp import ClientResponse, ClientSession, CookieJar
from multidict import CIMultiDictProxy

from tests.unit.console.running import PASSWORD

__all__ = ["Form", "Page", "Visitor", "visiting"]

VOID = {"meta", "link", "input", "img"}
INLINE = {"a", "span", "strong", "small", "code", "bdi", "time"}


@dataclass
class Form:
    """`fields`: what a browser sends if nothing is typed."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given["action"]))
        elif tag in ("input", "select") and self.forms:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
            self.select = given["name"]
        elif tag == "option" and ("selected" in given or not self.forms[-1].fields[self.select]):
            self.forms[-1].fields[self.select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        if tag not in INLINE:
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass
class Page:
    """An answer. `text`: what is to be read, spaces as one; `source`: the HTML."""

    status: int
    headers: CIMultiDictProxy[str]
    source: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    text: str = ""

    @classmethod
    async def of(cls, answer: ClientResponse) -> Page:
        page = cls(answer.status, answer.headers, await answer.text())
        if answer.content_type == "text/html":
            reader = _Reader()
            reader.feed(page.source)
            reader.close()
            assert not reader.open, f"never closed: {reader.open}"
            page.elements, page.forms = reader.elements, reader.forms
            page.text = " ".join("".join(reader.texts).split())
        return page

    @property
    def links(self) -> list[str]:
        return [given["href"] for tag, given in self.elements if tag == "a"]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def form(self, action: str) -> Form:
        (found,) = [form for form in self.forms if form.action.endswith(action)]
        return found


class Visitor:
    """Follows no redirect by itself."""

    def __init__(self, http: ClientSession, base: str) -> None:
        self.http, self.base = http, base

    async def get(self, path: str, headers: Mapping[str, str] | None = None, status: int = 200) -> Page:
        async with self.http.get(self.base + path, headers=headers, allow_redirects=False) as answer:
            page = await Page.of(answer)
        assert page.status == status, (path, page.status, page.text)
        return page

    async def post(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Page:
        async with self.http.post(self.base + path, data=fields, headers=headers, allow_redirects=False) as answer:
            return await Page.of(answer)

    async def send(self, form: Form, **typed: str) -> Page:
        """A form as a browser sends it."""
        headers = {"Origin": self.base, "Sec-Fetch-Site": "same-origin"}
        return await self.post(form.action, form.fields | typed, headers)

    async def log_in(self, wanted: str = "/") -> Page:
        page = await self.get("/login" if wanted == "/" else f"/login?next={wanted}")
        return await self.send(page.form("/login"), username="admin", password=PASSWORD)


@contextlib.asynccontextmanager
async def visiting(base: str) -> AsyncIterator[Visitor]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        yield Visitor(http, base)
