"""Debian's chromium, driven by playwright. Nothing is downloaded, nobody outside is asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
from playwright.async_api import Browser, async_playwright

from agent.web import files

NOT_BUILT = "the page is not built: make setup, or .venv/bin/python deploy/page.py"
MISSING = "chromium is not installed: apt-get install chromium, or make test as root"

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def find_chromium() -> str:
    """Path of the browser; skips the test where it is missing, fails it where CI=true."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        _left_out(MISSING)
    return path


def _left_out(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """The browser; closed at the end."""
    path = find_chromium()
    if "index.html" not in files.built():
        _left_out(NOT_BUILT)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
