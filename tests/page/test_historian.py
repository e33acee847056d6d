"""The same page at the port of a historian."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.page.reader import reading
from tests.page.site import Site
from tests.support.ports import accepts, free_port
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_historian_shows_what_it_stores(browser: Browser, site: Site, tmp_path: Path) -> None:
    """Its lag, its database, its sources, what is missing; nothing of an agent's."""
    port = free_port()
    document = {
        "historian": {"id": "hist-01", "data_dir": str(tmp_path), "database": "sqlite:///plant.db"},
        "sources": {
            "plant": {"type": "mqtt", "url": site.broker.url},
            "north": {"type": "mqtt", "url": "mqtt://127.0.0.1:1"},
        },
        "http": {"port": port},
    }
    config = tmp_path / "historian.yaml"
    config.write_text(json.dumps(document))
    with process(*agent_command("historian", "-c", str(config))):
        await eventually(lambda: accepts(port), what="the historian serves its page")
        async with reading(browser, f"http://127.0.0.1:{port}") as reader:
            await reader.opens()
            await reader.sees("hist-01", within="header")
            await reader.sees("Lag", "Newest reading", "plant.db", f"127.0.0.1:{site.broker.port}")
            await reader.sees_no("Too many viewers", within="body")
            await reader.page.get_by_role("button", name="中文").click()
            await reader.sees("延迟", "最新读数", "数据库")
            await reader.page.get_by_role("button", name="English").click()
            told = await reader.finding("The broker of source north is not connected", "Connection refused", "since")
            assert "Cost nothing comes from there" in told
            assert "Do Check what the line Why names: broker" in told
            assert reader.complaints == []
