"""A device of thousands of tags, and the trend of one of them."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.page.reader import PATIENCE_MS, Reader
from tests.page.site import CELLS, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_thousands_of_rows_are_a_screenful(reader: Reader) -> None:
    """Only rows in sight are in the document; the last is a key away; search and sort work on all."""
    page = reader.page
    await reader.opens("#/device/battery")
    await reader.sees("cell_0000", within=".vtable")
    rows = page.locator(".vspace .vrow")
    assert await rows.count() < 60
    assert await page.locator(".vtable").get_attribute("aria-rowcount") == str(CELLS + 1)
    await rows.first.focus()
    await page.keyboard.press("End")
    await reader.sees(f"cell_{CELLS - 1:04}", within=".vtable")
    assert await rows.count() < 60
    await page.get_by_label("Find a tag").fill("cell_0042")
    await reader.sees(f"1 of {CELLS:,}")
    await page.get_by_label("Find a tag").fill("")
    await page.get_by_role("button", name="Value").click()
    await expect(page.get_by_role("columnheader", name="Value")).to_have_attribute("aria-sort", "ascending")
    await expect(rows.first).to_contain_text("3.2")
    await expect(rows.first).to_contain_text("holding:")


@pytest.mark.parametrize("width", [320, 768, 1920])
async def test_a_trend_is_drawn_and_can_be_read(reader: Reader, site: Site, width: int) -> None:
    """At every width the course of a tag is drawn, and the same data stands in a table."""
    page = reader.page
    await page.set_viewport_size({"width": width, "height": 900})
    await reader.opens("#/device/press-01/part_count")
    await reader.sees("Trend of part_count")
    await page.get_by_role("button", name="10 min").click()
    canvas = page.locator(".uplot canvas")
    await expect(canvas).to_be_visible(timeout=PATIENCE_MS)
    drawn = """canvas => {
        const {width, height} = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        const inks = new Set();
        for (let at = 0; at < data.length; at += 4) if (data[at + 3]) inks.add(`${data.slice(at, at + 3)}`);
        return width > 0 && inks.size > 3;
    }"""
    assert await canvas.evaluate(drawn)
    await page.get_by_role("button", name="As a table").click()
    await reader.sees("Minimum", "Mean", "Maximum", "100 %", within=".trend")
    await page.get_by_role("link", name="Close").click()
    await reader.sees_no("Trend of part_count")
    assert reader.complaints == []


async def test_events_and_configuration(reader: Reader, site: Site) -> None:
    """Each event has its meaning; the configuration is the one that runs, asked for until it is there."""
    page = reader.page
    await reader.opens("#/events")
    await reader.sees("publisher.online", "agent.started")
    await page.locator(".events li", has_text="agent.started").first.locator("summary").click()
    await reader.sees("Every part is open and supervised.")
    await page.get_by_label("Device").select_option("press-01")
    await reader.sees_no("agent.started")
    await page.route("**/api/v1/config", lambda route: route.abort(), times=1)
    await reader.opens("#/configuration")  # no answer the first time: it is asked for again
    await reader.sees("press-01:", "unit_id: 1", "The configuration was not changed since the start.")
