"""Somebody who looks at the page: goes to views, reads what is there, and notices what a browser complains of."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, expect

#: Generous: only a failing test waits so long.
PATIENCE_MS = 50_000

VIEWS = ("#/", "#/device/press-01/oil_temperature", "#/device/battery", "#/events", "#/configuration")


@dataclass
class Reader:
    """One tab. `complaints`: errors in the page's console, and requests to anybody else."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def opens(self, address: str = "#/") -> None:
        """Go to a view."""
        await self.page.goto(f"{self.url}/{address}")

    async def sees(self, *texts: str, within: str = "main") -> None:
        """Wait until all of these stand there, in this order or another."""
        for text in texts:
            await expect(self.page.locator(within)).to_contain_text(text, timeout=PATIENCE_MS)

    async def sees_no(self, *texts: str, within: str = "main") -> None:
        """Wait until none of these stands there."""
        for text in texts:
            await expect(self.page.locator(within)).not_to_contain_text(text, timeout=PATIENCE_MS)

    async def finding(self, title: str | re.Pattern[str], *texts: str) -> str:
        """Wait until the thing that is wrong with this title is told with these texts; all of it, as one line."""
        item = self.page.locator(".band li", has=self.page.get_by_role("heading", name=title))
        await expect(item).to_be_visible(timeout=PATIENCE_MS)
        for text in texts:
            await expect(item).to_contain_text(text, timeout=PATIENCE_MS)
        return re.sub(r"\s+", " ", await item.inner_text())

    async def text(self, of: str = "body") -> str:
        """All that can be read."""
        return await self.page.locator(of).inner_text()


@asynccontextmanager
async def reading(
    browser: Browser, url: str, *, locale: str = "en-GB", width: int = 1280, height: int = 900
) -> AsyncIterator[Reader]:
    """A reader in a browser of its own: no cookie, no storage of anybody else."""
    context = await browser.new_context(locale=locale, viewport={"width": width, "height": height})
    try:
        page = await context.new_page()
        reader = Reader(page, url)

        def requested(address: str) -> None:
            if urlsplit(address).scheme not in ("data", "blob") and not address.startswith(url):
                reader.complaints.append(f"a request to {address}")

        page.on("request", lambda request: requested(request.url))
        page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                reader.complaints.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        yield reader
    finally:
        await context.close()
