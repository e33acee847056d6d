"""One browser, one healthy gateway and one in trouble for all tests of a worker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.page.browser import launched
from tests.page.reader import Reader, reading
from tests.page.site import TOKEN, Site, healthy, sick
from tests.support.agent import AgentProcess
from tests.support.processes import ROOT


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's chromium."""
    async with launched() as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The healthy gateway, once it has read everything."""
    began = time.monotonic()
    folder, longest = tmp_path_factory.mktemp("healthy"), "spare-" + "x" * 58
    async with healthy(folder, lambda: time.monotonic() - began, spare=longest) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trouble(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AgentProcess]:
    """The gateway in trouble; its outbox is full already."""
    async with sick(tmp_path_factory.mktemp("sick")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser, site: Site) -> AsyncIterator[Reader]:
    """An English reader of the healthy gateway."""
    async with reading(browser, site.url) as found:
        await found.opens()
        await found.sees("press-01", within=".grid")
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def chinese(browser: Browser, site: Site) -> AsyncIterator[Reader]:
    """A Chinese reader of the healthy gateway."""
    async with reading(browser, site.url, locale="zh-CN") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def troubled(browser: Browser, trouble: AgentProcess) -> AsyncIterator[Reader]:
    """A reader of the gateway in trouble, who has not logged in yet."""
    async with reading(browser, f"http://127.0.0.1:{trouble.port}") as found:
        yield found


@pytest.fixture(scope="session")
def token() -> str:
    """What logs in at the gateway in trouble."""
    return TOKEN


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, out of the npm registry, by the hash in deno.lock."""
    done = subprocess.run(
        [str(Path(ROOT, ".venv/bin/deno")), "eval", "import axe from 'axe-core'; console.log(axe.source)"],
        cwd=ROOT / "agent/web/page", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout
