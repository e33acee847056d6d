"""`make screenshots`: the page in light, dark and Chinese -> docs/images, from a small factory in some trouble."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.page.browser import _ARGUMENTS, find_chromium
from tests.page.site import Site, healthy
from tests.support.waiting import eventually

FOLDER = Path(__file__).resolve().parents[2] / "docs/images"
#: Name, address, language, colours.
VIEWS = [
    ("overview-light", "#/", "en", "light"),
    ("overview-dark", "#/", "en", "dark"),
    ("overview-zh", "#/", "zh-CN", "light"),
    ("device-light", "#/device/press-01/oil_temperature", "en", "light"),
]


async def main(folder: Path, seconds: float) -> None:
    """Break a few things, wait, take them."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        async with (
            healthy(Path(temporary), lambda: time.monotonic() - started + 300) as site,
            async_playwright() as driver,
        ):
            browser = await driver.chromium.launch(executable_path=find_chromium(), args=_ARGUMENTS)
            pages = {view[0]: await _page(browser, site, *view[1:]) for view in VIEWS}
            await expect(pages["overview-light"].locator(".band")).to_contain_text("All well", timeout=180_000)
            await pages["device-light"].wait_for_timeout(seconds * 500)
            site.second_press.refused = {("holding", 3), ("input", 11)}
            await site.gateway.stop()
            await eventually(lambda: site.agent.events("device.offline"))
            await pages["device-light"].wait_for_timeout(seconds * 500)
            await pages["device-light"].get_by_role("button", name="10 min").click()
            await pages["device-light"].wait_for_timeout(1000)
            folder.mkdir(parents=True, exist_ok=True)
            for name, page in pages.items():
                await page.screenshot(path=folder / f"{name}.png")
            await browser.close()


async def _page(browser: Browser, site: Site, address: str, language: str, colours: str) -> Page:
    context = await browser.new_context(
        locale=language, color_scheme="dark" if colours == "dark" else "light",
        viewport={"width": 1280, "height": 900},
    )  # fmt: skip
    page = await context.new_page()
    await page.goto(f"{site.url}/{address}")
    return page


if __name__ == "__main__":
    asyncio.run(
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, float(sys.argv[2]) if len(sys.argv) > 2 else 20)
    )
