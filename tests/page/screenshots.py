"""`make screenshots`: page and terminal -> docs/images, from a small factory in some trouble."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect
from rich.console import Console

from tests.page.browser import _ARGUMENTS, find_chromium
from tests.page.site import Site, healthy
from tests.support.processes import agent_command, run_process
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
            (folder / "terminal.svg").write_text(terminal(site), encoding="utf-8")
            for name, page in pages.items():
                await page.screenshot(path=folder / f"{name}.png")
            await browser.close()


def terminal(site: Site) -> str:
    """What `edge-agent status` prints, as a picture that fetches no font from elsewhere."""
    shown = run_process(*agent_command("status", "-c", str(site.agent.config)), env={"COLUMNS": "80"}).stdout
    console = Console(record=True, width=84, file=StringIO(), highlight=False)
    console.print("$ edge-agent status -c agent.yaml", style="bold", markup=False)
    console.print(shown.rstrip(), markup=False)
    picture = console.export_svg(title="edge-agent")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


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
