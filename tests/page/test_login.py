"""Beyond loopback nobody who is not logged in sees data."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.page.reader import VIEWS, Reader
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nobody_without_login_sees_data(troubled: Reader, token: str) -> None:
    """Every view is the login form; a wrong token is told; the right one opens, and logging out closes again."""
    page = troubled.page
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.url.removeprefix(troubled.url), answer.status)))
    for view in VIEWS:
        await troubled.opens(view)
        await troubled.sees("The token is in the file")
        text = await troubled.text()
        assert "press" not in text
        assert "gw-test" not in text
    told = {status for path, status in answers if path.startswith("/api/")}
    assert 401 in told
    assert told <= {401, 503}  # 503: a busy disk did not give the token in time
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.keyboard.type("not this one\n")
    await troubled.sees("This is not the token.")
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    await expect(page.locator("#content")).to_be_focused()
    await troubled.sees("Recent events", "press") if "device" in page.url else await troubled.sees("Configuration")
    (cookie,) = await page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    await page.get_by_role("button", name="Log out").click()
    await troubled.sees("The token is in the file")
    assert "press" not in await troubled.text()

    async def forgotten() -> bool:
        return not await page.context.cookies()

    await eventually(forgotten, what="the cookie is gone")
    assert await page.evaluate("fetch('/api/v1/status').then(answer => answer.status)") in (401, 503)
