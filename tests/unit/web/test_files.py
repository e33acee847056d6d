"""The built page over HTTP: small, compressed, kept by browsers; and what is told where it was not built."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
from starlette.applications import Starlette

from agent.web.files import routes


async def _get(folder: Path, path: str, accept: str = "gzip") -> httpx.Response:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(folder)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gw") as client:
        return await client.get(path, headers={"Accept-Encoding": accept})


def _build(folder: Path) -> Path:
    (folder / "index.html").write_text("<p>page</p>")
    (folder / "main.js").write_text("let a = 1;" * 100)
    (folder / "secret.key").write_text("not the page's")
    return folder


async def test_page_and_its_files(tmp_path: Path) -> None:
    """`/` is asked for every time, what has a hash in its name is kept; compressed for whoever takes that."""
    folder = _build(tmp_path)
    page = await _get(folder, "/")
    assert (page.text, page.headers["cache-control"]) == ("<p>page</p>", "no-cache")
    script = await _get(folder, "/static/main.js?0123456789ab")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-encoding"] == "gzip"
    assert "immutable" in script.headers["cache-control"]
    assert int(script.headers["content-length"]) == len(gzip.compress(script.content, 9, mtime=0)) < 100
    plain = await _get(folder, "/static/main.js", accept="identity")
    assert "content-encoding" not in plain.headers
    assert plain.content == script.content


async def test_nothing_else_is_there(tmp_path: Path) -> None:
    """Only what belongs to a page is served, by its name and no other way."""
    folder = _build(tmp_path)
    for path in ("/static/secret.key", "/static/none.js", "/static/..%2fserver.py", "/static/%2e%2e/server.py"):
        assert (await _get(folder, path)).status_code == 404, path


async def test_not_built(tmp_path: Path) -> None:
    """Without the built files `/` tells how to build them."""
    answer = await _get(tmp_path / "none", "/")
    assert answer.status_code == 404
    assert "python deploy/page.py" in answer.text
