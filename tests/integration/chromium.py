"""A real Chromium (Debian's package), driven by Playwright, with an ear for what its pages complain about."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, async_playwright, expect

__all__ = ["Looking", "chromium"]

WITHIN_MS = 30_000
"""Two cores, many tests: generous, and only ever waited out by a failure."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ALLOWED = "the server responded with a status of"
"""What Chromium says itself of pages that are answered 400 or 404."""


@dataclass
class Looking:
    """A browser, and all that its pages complained about."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)

    async def context(
        self, width: int = 1200, scheme: Literal["light", "dark"] = "light", *, scripts: bool = True
    ) -> BrowserContext:
        """A fresh profile."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        context.set_default_timeout(WITHIN_MS)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", self._asked)
        return context

    async def page(
        self, width: int = 1200, scheme: Literal["light", "dark"] = "light", *, scripts: bool = True
    ) -> Page:
        return await (await self.context(width, scheme, scripts=scripts)).new_page()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and ALLOWED not in message.text:
            self.complaints.append(message.text)

    async def _asked(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Looking]:
    """Skips where there is none. Playwright gives it a new --user-data-dir, and starts it --headless."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium here: apt-get install --no-install-recommends chromium")
    expect.set_options(timeout=WITHIN_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield Looking(browser)
        finally:
            await browser.close()
