"""The page never looks alive when it is not: an agent that stands still, a tab that slept, too many viewers."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.page.reader import PATIENCE_MS, Reader, reading
from tests.page.site import Site
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_agent_that_stands_still_is_told_with_its_time(reader: Reader, site: Site) -> None:
    """What is shown turns grey, under a band that says since when; when the agent is back it is live by itself."""
    os.kill(site.agent.pid, signal.SIGSTOP)
    try:
        await reader.sees("The agent has not answered since", within=".linkband")
        await reader.sees("no answer", within="header")
        assert await reader.page.locator(".frame.old").count() == 1
        well, since = reader.page.locator("#verdict"), await reader.page.inner_text(".linkband")
        told = await well.inner_text()
        await expect(reader.page.locator(".linkband")).not_to_have_text(since, timeout=30_000)
        await expect(well).to_have_text(told)  # nobody knows whether it is well since then
    finally:
        os.kill(site.agent.pid, signal.SIGCONT)
    await reader.sees("live", within="header")
    await expect(reader.page.locator(".linkband")).to_have_count(0)


async def test_a_tab_that_slept_is_right_when_it_wakes(browser: Browser, site: Site) -> None:
    """Ten minutes asleep: nothing is asked meanwhile, and what happened is there when it wakes."""
    async with reading(browser, site.url) as reader:
        await reader.page.clock.install()
        await reader.opens()
        await reader.sees("live", within="header")
        await _show(reader, visible=False)
        await reader.sees("paused", within="header")
        asked: list[str] = []
        reader.page.on("request", lambda request: asked.append(request.url))
        await site.battery.stop()
        try:
            await reader.page.clock.fast_forward("10:00")
            assert asked == []
            await _show(reader, visible=True)
            await reader.finding("Device battery is offline")
            await reader.sees("live", within="header")
        finally:
            await site.battery.start()


async def _show(reader: Reader, *, visible: bool) -> None:
    """As the browser does when another tab is chosen."""
    await reader.page.evaluate(
        """state => {
            Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        "visible" if visible else "hidden",
    )


async def test_the_windows_of_one_browser_leave_each_other_connections(reader: Reader, site: Site) -> None:
    """A browser has six connections to one server: with a stream in each, the seventh window would stay empty."""
    for _ in range(6):
        page = await reader.page.context.new_page()
        await page.goto(f"{site.url}/#/device/press-01")
        await expect(page.locator("main")).to_contain_text("oil_temperature", timeout=PATIENCE_MS)
    await expect(page.locator(".linkband")).to_contain_text("Too many viewers", timeout=PATIENCE_MS)


async def test_too_many_viewers_is_a_sentence(browser: Browser, site: Site) -> None:
    """The ninth viewer is told so and shown the status all the same; live again when a place is free."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=site.url))
        viewers = []

        async def take() -> bool:
            answer = await client.send(client.build_request("GET", "/api/v1/stream"), stream=True)
            if answer.status_code == 200:
                viewers.append(answer)
            else:
                await answer.aclose()
            return answer.status_code == 503

        try:
            await eventually(take, what="all places are taken")
            reader = await stack.enter_async_context(reading(browser, site.url))
            await reader.page.clock.install()
            await reader.opens()
            await reader.sees("Too many viewers", within=".linkband")
            await reader.sees("press-01", within=".grid")
        finally:
            await asyncio.gather(*(viewer.aclose() for viewer in viewers))
        await reader.page.clock.fast_forward(31_000)
        await expect(reader.page.locator("header")).to_contain_text("live", timeout=PATIENCE_MS)
        await expect(reader.page.locator(".linkband")).to_have_count(0)
