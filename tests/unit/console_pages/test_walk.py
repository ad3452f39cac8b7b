"""Every page that can be reached from `/`, with a world full of hostile words: links work, all is escaped, nothing secret shows."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from hookline.web.masking import mask_url
from tests.unit.console.running import KEY, KEYS, PASSWORD, Running
from tests.unit.console_pages.visiting import Page, Visitor
from tests.unit.console_pages.world import HOSTILE, SECRET_PATH, World

ALLOWED = {
    "html", "head", "meta", "title", "link", "script", "body", "header", "main", "nav", "section", "h1", "h2", "h3",
    "p", "a", "img", "span", "strong", "small", "code", "pre", "bdi", "time", "ol", "ul", "li", "dl", "div", "dt", "dd",
    "table", "thead", "tbody", "tr", "th", "td", "form", "label", "input", "select", "option", "button", "details",
    "summary",
}  # fmt: skip


@pytest_asyncio.fixture
async def pages(world: World, visitor: Visitor) -> AsyncIterator[dict[str, Page]]:
    """By path, all that links lead to."""
    found: dict[str, Page] = {}
    left = ["/", "/pushes?page_size=2", f"/pipelines/{world.pipelines['shop']}?page_size=2", "/nothing"]
    while left:
        path = left.pop()
        if path in found:
            continue
        found[path] = await visitor.get(path, status=404 if path == "/nothing" else 200)
        left += [link for link in found[path].links if link.startswith("/")]
    yield found


async def test_every_link_leads_to_a_page(pages: dict[str, Page], world: World) -> None:
    assert {f"/chains/{chain}" for chain in world.chains.values()} <= set(pages)
    assert {f"/pipelines/{pipeline}" for pipeline in world.pipelines.values()} <= set(pages)
    for expected in ("/repositories/acme/shop", "/repositories/team/group/app", "/repositories/alpine", "/pushes"):
        assert expected in pages
    assert any("page=3" in path for path in pages)


async def test_links_that_leave_are_plain_http(pages: dict[str, Page]) -> None:
    leaving = [
        given for page in pages.values() for tag, given in page.elements if tag == "a" and given["href"][0] not in "/#"
    ]
    assert leaving
    for given in leaving:
        assert urlsplit(given["href"]).scheme in ("http", "https")
        assert given["rel"] == "noopener noreferrer"


async def test_nothing_is_markup_but_what_templates_say(pages: dict[str, Page]) -> None:
    shown = 0
    for path, page in pages.items():
        for tag, given in page.elements:
            assert tag in ALLOWED, (path, tag)
            assert not [name for name in given if name.startswith("on") or name == "style"], (path, given)
            if tag == "script":
                assert given["src"].startswith("/static/"), path
        assert page.source.count("<script") == page.source.count("<script src=")
        shown += HOSTILE.rstrip("\u202e")[:60] in page.text
    assert shown >= 4, "the words are there, as words"


async def test_no_secret_is_on_any_page_but_a_hooks_own(console: Running, pages: dict[str, Page], world: World) -> None:
    hooks = [h for p in (await console.get("/api/pipelines"))["results"] for h in p["webhooks"]]
    own = {f"/hooks/{hook['id']}/secret": KEYS.hook_secret("k1", hook["id"], 1) for hook in hooks}
    secrets = [
        KEY,
        KEY.partition(":")[2],
        PASSWORD,
        console.token,
        world.token,
        SECRET_PATH,
        "s3cret",
        *own.values(),
    ]
    assert own.keys() & pages.keys()
    for path, page in pages.items():
        for secret in secrets:
            assert (secret in page.source) == (secret == own.get(path)), path
        for url in (hook["hook_url"] for hook in hooks):
            assert url == mask_url(url) or url not in page.source, path
        for name, value in page.headers.items():
            assert not [s for s in secrets if s in value], (path, name)


async def test_every_page_can_be_read_without_seeing_it(pages: dict[str, Page]) -> None:
    for path, page in pages.items():
        tags = [tag for tag, _ in page.elements]
        assert ("html", {"lang": "en"}) in page.elements
        assert tags.count("h1") == 1, path
        assert tags.count("main") == 1, path
        labelled = {given["for"] for tag, given in page.elements if tag == "label"}
        for tag, given in page.elements:
            if tag in ("input", "select") and given.get("type") != "hidden":
                assert given["id"] in labelled, (path, given)
            if tag == "img":
                assert "alt" in given, path
            if tag == "th":
                assert given["scope"] == "col", path
        ids = [given["id"] for _, given in page.elements if "id" in given]
        assert len(ids) == len(set(ids)), path


@pytest.mark.parametrize(
    "path", ["/repositories/evil/repo", "/pushes?repository=..%2F..%2F%3Cb%3Eup%3C/b%3E?x%3D1%23y"]
)
async def test_hostile_names_have_their_pages(world: World, visitor: Visitor, path: str) -> None:
    assert "Nothing." in (page := await visitor.get(path)).text or "pending" in page.text
