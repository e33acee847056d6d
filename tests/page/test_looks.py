"""The page on every screen, in both languages, for every reader: nothing sticks out, nothing is left untranslated."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Route
from playwright.async_api import TimeoutError as TooLateError

from tests.page.reader import VIEWS, Reader, reading
from tests.page.site import Site
from tests.support.processes import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDTHS = (320, 768, 1920)


@pytest.mark.parametrize(("locale", "widths"), [("en-GB", WIDTHS), ("zh-CN", WIDTHS[:1])])
async def test_no_view_is_wider_than_its_screen(
    browser: Browser, site: Site, locale: str, widths: tuple[int, ...]
) -> None:
    """No horizontal scroll bar at 320, 768 and 1,920 pixels, in any view; in Chinese, which is shorter, at 320."""
    async with reading(browser, site.url, locale=locale) as reader:
        await site.gateway.stop()
        try:
            for view in (*VIEWS, f"#/device/{max(site.agent.document['devices'], key=len)}"):
                await reader.opens(view)
                await reader.page.wait_for_selector("main h1, main h2")
                for width in widths:
                    await reader.page.set_viewport_size({"width": width, "height": 900})
                    await _fits(reader, view, width)
        finally:
            await site.gateway.start()
        assert reader.complaints == []


async def _fits(reader: Reader, view: str, width: int) -> None:
    """A chart is drawn anew for another width, which takes a moment; then nothing may stick out."""
    try:
        await reader.page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
    except TooLateError as error:
        pytest.fail(f"{view} on {width}: {error}, {await _widest(reader, width)}")


async def _widest(reader: Reader, width: int) -> Any:
    return await reader.page.evaluate(
        """width => [...document.querySelectorAll("main *, header *")]
            .filter(one => one.getBoundingClientRect().right > width + 1)
            .slice(0, 5).map(one => one.outerHTML.slice(0, 120))""",
        width,
    )


async def test_axe_finds_nothing_serious(browser: Browser, site: Site, axe: str) -> None:
    """No view has a serious or critical finding of axe-core, and its contrast is enough in the dark as well."""
    async with reading(browser, site.url) as reader:
        await site.battery.stop()
        try:
            for view in VIEWS:
                if "battery" in view:
                    continue  # the same view of another device
                await reader.opens(view)
                await reader.page.wait_for_selector("main h1, main h2")
                await reader.page.evaluate(axe)
                await _shade(reader, "light")
                assert await _serious(reader, "{resultTypes: ['violations']}") == [], view
                await _shade(reader, "dark")
                assert await _serious(reader, "{runOnly: ['color-contrast']}") == [], f"{view} in the dark"
        finally:
            await site.battery.start()


async def _shade(reader: Reader, shade: Literal["light", "dark"]) -> None:
    await reader.page.emulate_media(color_scheme=shade)
    await reader.page.wait_for_function("shade => document.documentElement.dataset.theme === shade", arg=shade)


async def _serious(reader: Reader, options: str) -> list[Any]:
    # without the lines of the configuration: thousands of them, all alike
    found = await reader.page.evaluate(f"axe.run({{exclude: ['pre.config']}}, {options})")
    return [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def _texts(language: str) -> dict[str, str]:
    source = (ROOT / f"agent/web/page/words/{language}.ts").read_text(encoding="utf-8")
    return dict(re.findall(r'^\s+"?([\w:.]+)"?:\s+"((?:[^"\\]|\\.)*)",$', source, re.MULTILINE))


#: Every piece of text that stands by itself, without the lines of the configuration.
_TEXTS = """[...document.querySelectorAll("body *:not(pre)")]
    .flatMap(one => [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()))"""


async def test_nothing_is_left_in_english(chinese: Reader) -> None:
    """A Chinese browser gets Chinese: no text of the English catalogue stands anywhere; a switch and it is English."""
    english = {text for text in _texts("en").values() if re.fullmatch(r"[A-Z][\w ,.'-]{3,}", text)}
    assert len(english) > 60
    for view in VIEWS:
        await chinese.opens(view)
        await chinese.page.wait_for_selector("main h1, main h2")
        shown = set(await chinese.page.evaluate(_TEXTS))
        shown |= set(await chinese.page.locator("[aria-label]").evaluate_all("all => all.map(one => one.ariaLabel)"))
        assert shown & english == set(), view
    assert await chinese.page.locator("html").get_attribute("lang") == "zh-CN"
    await chinese.page.get_by_role("button", name="English").click()
    await chinese.sees("Overview", within="nav")
    await chinese.page.reload()
    await chinese.sees("Overview", within="nav")


async def test_everything_by_keyboard(reader: Reader) -> None:
    """The first key leads past the frame; every step shows where one is; a row of tags opens its trend."""
    page = reader.page
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "content"
    for _ in range(6):
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", await page.evaluate("document.activeElement.outerHTML")
    await reader.opens("#/device/press-01")
    await page.locator(".vtable .vrow[tabindex='0']").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        await page.keyboard.press(key)
    await reader.sees("Trend of tonnage")


_STORES_NOTHING = """
const refuse = () => { throw new DOMException("Access is denied for this document.", "SecurityError"); };
Object.defineProperty(window, "localStorage", { get: refuse });
navigator.locks.request = async () => refuse();
"""


async def test_a_browser_that_may_store_nothing_shows_all_the_same(browser: Browser, site: Site) -> None:
    """As chromium is where all cookies are blocked; only what the reader chose is forgotten with the page."""
    async with reading(browser, site.url) as reader:
        await reader.page.add_init_script(_STORES_NOTHING)
        await reader.opens()
        await reader.sees("press-01", within=".grid")
        await reader.sees("live", within="header")
        await reader.page.get_by_role("button", name="中文").click()
        await reader.sees("总览", within="header")
        assert reader.complaints == []


async def test_behind_a_proxy_that_adds_a_path(browser: Browser, site: Site) -> None:
    """All that the page asks for stands below its own address."""
    outside = "http://localhost/gw-01"
    async with reading(browser, outside) as reader:

        async def forwarded(route: Route) -> None:
            path = route.request.url.removeprefix(outside)
            if "/stream" in path:  # an answer without an end; the page falls back to asking
                await route.abort()
            else:
                await route.fulfill(response=await route.fetch(url=site.url + path))

        await reader.page.route("**/*", forwarded)
        await reader.opens("#/device/press-01")
        await reader.sees("oil_temperature", "coil:0", "device.online")
        assert reader.complaints == []
        await reader.page.unroute_all(behavior="wait")  # what is under way would fail with the closing browser


async def test_first_paint_comes_soon_and_little_is_loaded(reader: Reader) -> None:
    """One script, one style sheet, one icon: nothing else is fetched before the page shows something."""
    entries = await reader.page.evaluate(
        "performance.getEntriesByType('resource').map(one => [one.name.replace(/[?].*/, ''), one.encodedBodySize])"
    )
    static = {name.removeprefix(reader.url): size for name, size in entries if "/static/" in name}
    assert set(static) <= {"/static/main.js", "/static/main.css", "/static/icon.svg"}
    assert sum(static.values()) <= 120_000
    assert await reader.page.evaluate("performance.getEntriesByName('first-contentful-paint').length") == 1
