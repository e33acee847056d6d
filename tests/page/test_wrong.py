"""What an operator reads first: all well, or what is wrong, why, what it costs, what to do."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.page.reader import Reader
from tests.page.site import METERS, Site
from tests.support.agent import AgentProcess

#: Between two records that have to go there is room for a moment.
_FULL = re.compile("Publisher cloud has (a FULL outbox|lost records)")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.timeout(240)
async def test_all_well(reader: Reader, site: Site) -> None:
    """One look: all well and since when; every device with its values, the publisher, the disk, the clock."""
    await reader.opens()
    # A busy machine reads late, and what was late is told for a minute.
    await expect(reader.page.locator(".band")).to_contain_text("Nothing needs your attention.", timeout=150_000)
    await reader.sees("All well for")
    await reader.sees("press-01", "battery", "3,000 tags", "kN", "spare", "disabled", within=".grid")
    await reader.sees("plant", "online", "Room left", within=".publishers")
    await reader.sees("Clock", "set", "Configuration", within=".gateway")
    await reader.sees("live", within="header")
    assert reader.complaints == []


async def test_device_unplugged(reader: Reader, site: Site) -> None:
    """An unplugged device is named, with why, since when, what it costs and what to do; until it is back."""
    await reader.opens()
    await site.battery.stop()
    try:
        told = await reader.finding("Device battery is offline")
        assert "Why 127.0.0.1" in told
        assert "no good value since" in told
        assert "Do Check what the line Why names: power, cable" in told
        await reader.page.locator(".band").get_by_role("link", name="battery").click()
        await reader.sees("battery", "offline", "Check what the line Why names", within=".device")
        await reader.opens()
    finally:
        await site.battery.start()
    await reader.sees_no("Device battery is offline")


async def test_dead_gateway(reader: Reader, site: Site) -> None:
    """A dead gateway stands there once, above the meters behind it, in both languages."""
    await reader.opens()
    await site.gateway.stop()
    try:
        told = await reader.finding(f"tcp://127.0.0.1:{site.gateway.port} does not answer")
        assert f"{METERS} devices are not read" in told
        assert "Look at what they share first" in told
        assert "Device meter" not in await reader.text(".band")
        await reader.page.get_by_role("button", name="中文").click()
        told = await reader.finding(f"tcp://127.0.0.1:{site.gateway.port} 没有应答")
        assert f"{METERS} 台设备无法读取" in told
        assert "先检查它们共用的部分" in told
    finally:
        await site.gateway.start()


async def test_bad_register_full_outbox_wrong_password_and_a_clock_that_was_never_set(
    troubled: Reader, trouble: AgentProcess, token: str
) -> None:
    """Each reads as it is meant: what is lost first, then who is away and why, then the clock."""
    await troubled.opens()
    await troubled.page.get_by_label("Token").fill(token)
    await troubled.page.get_by_role("button", name="Log in").click()
    await troubled.finding(_FULL, "readings lost, from", "Bring the broker back")
    await troubled.finding(
        "Publisher plant is offline",
        "username, password",
        "Check what the line Why names: broker, network, certificate, password",
    )
    await _show_all(troubled)
    await troubled.finding("The clock is not set", "clock: unsynced", "Let the gateway reach a time server")
    await troubled.finding(
        "Device press is degraded", "r7: illegal data address", "Correct the address or type of the bad tags"
    )
    await troubled.sees("NOT SET", within=".gateway")
    assert "Publisher" in (await troubled.page.locator(".band li h2").all_inner_texts())[0]
    await troubled.page.get_by_role("button", name="中文").click()
    await troubled.finding("时钟未同步", "让网关能访问时间服务器")
    await troubled.finding("发布端 plant 离线", "无权连接")
    await troubled.finding("设备 press 降级", "非法数据地址")
    await troubled.page.get_by_role("button", name="English").click()
    await troubled.opens("#/device/press")
    await troubled.page.get_by_label("Only bad").check()
    await troubled.sees("r7", "bad", "illegal data address", "holding:7", within=".vtable")
    await troubled.page.set_viewport_size({"width": 320, "height": 700})
    await expect(troubled.page.locator(".vrow.bad .why")).to_be_visible()
    await expect(troubled.page.locator(".vrow.bad .c-value")).to_be_hidden()  # a phone has room for one of the two
    assert troubled.complaints == []


async def _show_all(reader: Reader) -> None:
    button = reader.page.get_by_role("button", name="Show all")
    if await button.count():
        await button.click()
