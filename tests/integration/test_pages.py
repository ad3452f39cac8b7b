"""The console's pages in a real Chromium: over the whole system on real Kafka, and over a made-up world for how they look."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from tests.integration.chromium import Looking, chromium
from tests.integration.system import PASSWORD, Stand, System
from tests.kit.waiting import until
from tests.unit.console.running import PASSWORD as WORLD_PASSWORD
from tests.unit.console.running import running
from tests.unit.console_pages.world import HOSTILE, World, seed

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser and one made-up world for all

WIDE, PHONE = 1200, 390

CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const s = c / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return rgb(getComputedStyle(document.body).backgroundColor);
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.matches(".skip")) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(1)} ${element.outerHTML.slice(0, 80)}`);
  }
  return low;
}"""


class Made(NamedTuple):
    """A console over the made-up world."""

    base: str
    world: World

    def chain(self, name: str) -> str:
        """The address of a chain's page."""
        return f"{self.base}/chains/{self.world.chains[name]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Looking]:
    async with chromium() as looking:
        yield looking


@pytest.fixture
def looking(browser: Looking) -> Iterator[Looking]:
    """Whatever a page complains about fails the test."""
    browser.complaints.clear()
    yield browser
    assert browser.complaints == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Made]:
    async with running(tmp_path_factory.mktemp("console")) as console:
        yield Made(console.base, await seed(console))


async def log_in(page: Page, password: str) -> None:
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_a_chain_from_push_to_end_on_the_pages(stand: Stand, tmp_path: Path, looking: Looking) -> None:
    async with System(stand, tmp_path).running() as system:
        await system.make_pipeline("test", "deploy")
        assert await system.push("1.5.0") == 202
        await until(lambda: system.receiver.of("test"))
        page = await looking.page()

        await page.goto(system.url("console", "/repositories/ns/app/ci"))
        await expect(page).to_have_title("Log in · Hookline")
        await log_in(page, "wrong")
        await expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
        await log_in(page, PASSWORD)
        await expect(page).to_have_title("ci of ns/app · Hookline")
        await expect(page.get_by_role("row", name="1.5.0")).to_contain_text("pending")
        await page.get_by_role("link", name="1.5.0").click()

        steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
        await expect(steps.nth(0)).to_contain_text("delivered, verdict until")
        await system.call_back(system.receiver.of("test")[0][2])
        await expect(steps.nth(0)).to_contain_text("success")  # without a reload
        await until(lambda: system.receiver.of("deploy"))

        await page.get_by_label("Reason").fill("the wrong tag")
        await page.get_by_role("button", name="Cancel this chain").click()
        await expect(page.locator("h1")).to_have_text("1.5.0 error")
        await expect(page.locator("#timeline")).to_contain_text("the wrong tag")
        await expect(page.locator("#timeline")).to_contain_text("Halted at step 2: cancelled")

        await page.get_by_label("Run again from").select_option("2")
        await page.get_by_role("button", name="Run again").dblclick()
        await expect(page.get_by_role("navigation", name="Runs of this chain")).to_contain_text("run 2")
        await until(lambda: len({post[1] for post in system.receiver.of("deploy")}) == 2)
        await system.call_back(system.receiver.of("deploy")[-1][2])
        await expect(page.locator("h1")).to_have_text("1.5.0 success")
        await expect(page.get_by_role("button", name="Run again")).to_be_visible()

        await page.get_by_role("link", name="ci", exact=True).click()
        await expect(page.get_by_role("row")).to_have_count(3)  # its head, and two chains: a double click is one run
        await page.get_by_role("button", name="Log out").click()
        await page.goto(system.url("console", "/"))
        await expect(page).to_have_title("Log in · Hookline")


async def test_how_pages_look(made: Made, looking: Looking) -> None:
    """No page is wider than its window, every text can be told from what is behind it, and hostile words stay words."""
    paths = ["/", "/pushes", "/sessions", "/repositories/acme/shop", "/nothing"]
    paths += [f"/pipelines/{made.world.pipelines[name]}" for name in ("shop", "bad")]
    paths += [f"/chains/{made.world.chains[name]}" for name in ("completed", "failure", "retrying", "hostile")]
    for page in (await looking.page(WIDE), await looking.page(PHONE, "dark")):
        await page.goto(f"{made.base}/login")
        assert await page.evaluate(CONTRASTS) == []
        await log_in(page, WORLD_PASSWORD)
        for path in paths:
            await page.goto(made.base + path)
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
            assert await page.evaluate(CONTRASTS) == [], path
        await expect(page.locator("h1")).to_contain_text(HOSTILE[:30])
        await page.get_by_text("Answer").first.click()
        await expect(page.locator("pre").first).to_have_text(HOSTILE)


async def test_a_link_on_another_site(made: Made, looking: Looking) -> None:
    """SameSite=Strict holds the cookie back, and still nobody has to log in twice; a form there does nothing."""
    target = made.chain("retrying")

    async def page_elsewhere(_: web.Request) -> web.Response:
        text = f'<a href="{target}">look</a><form method=post action="{target}/cancel"><button>win</button></form>'
        return web.Response(text=text, content_type="text/html")

    other = web.Application()
    other.router.add_get("/", page_elsewhere)
    async with TestServer(other, host="localhost") as server:
        page = await looking.page()
        await page.goto(f"{made.base}/login")
        await log_in(page, WORLD_PASSWORD)
        await expect(page.locator("h1")).to_have_text("Pipelines")
        await page.goto(str(server.make_url("/")))
        await page.get_by_role("link", name="look").click()
        await expect(page.locator("h1")).to_have_text("1.5.0 pending")
        await page.goto(str(server.make_url("/")))
        await page.get_by_role("button", name="win").click()
        await expect(page.get_by_role("alert")).to_contain_text("Nothing was done")


async def test_without_scripts(made: Made, looking: Looking) -> None:
    page = await looking.page(scripts=False)
    await page.goto(made.chain("retrying"))
    await log_in(page, WORLD_PASSWORD)
    await expect(page).to_have_url(made.chain("retrying"))
    await page.get_by_role("button", name="Cancel this chain").click()
    await expect(page.locator("#head")).to_contain_text("A user cancelled it")


async def test_another_browsers_session_is_ended(tmp_path: Path, looking: Looking) -> None:
    """Over a console of its own: pages of other tests are logged in to the made-up world, and keep themselves up to date."""
    async with running(tmp_path) as console:
        hook = (await console.make())["webhooks"][0]["id"]
        one, other = await looking.page(WIDE), await looking.page(PHONE, "dark")
        for page in (one, other):
            await page.goto(f"{console.base}/login")
            await log_in(page, WORLD_PASSWORD)
            await page.get_by_role("link", name="Sessions").click()
            await expect(page.get_by_text("this one")).to_be_visible()
            assert await page.evaluate(CONTRASTS) == []
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        await one.reload()
        await expect(one.get_by_role("row")).to_have_count(4)  # the head, theirs, and the test's own of the API
        await one.get_by_role("button", name="End all others").click()
        await expect(one.get_by_role("row")).to_have_count(2)
        await other.reload()
        await expect(other).to_have_title("Log in · Hookline")
        await one.goto(f"{console.base}/repositories/acme/app")
        await one.get_by_role("link", name="secret", exact=True).click()
        await expect(one).to_have_url(f"{console.base}/hooks/{hook}/secret")
        await expect(one.locator("pre")).to_contain_text("whsec_")
        assert await one.evaluate(CONTRASTS) == []
