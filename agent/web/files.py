"""The page as it was built into static/: a few files, read once, sent compressed. They hold no data.

Names are sent with a hash (`/static/main.js?…`), so a browser keeps them and asks for `/` alone every time.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).with_name("static")

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

_NOT_BUILT = """The page is not built, the API works all the same: see /api/v1/status and /api/v1/openapi.json.

At a checkout build it with

    .venv/bin/python deploy/page.py

and restart the agent. A wheel and an image have it built in.
"""


class _File(NamedTuple):
    content: bytes
    packed: bytes
    kind: str


@lru_cache(maxsize=4)
def built(folder: Path = STATIC) -> dict[str, _File]:
    """The files by name; none where the page was not built."""
    found = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if (kind := _TYPES.get(path.suffix)) is not None:
            content = path.read_bytes()
            found[path.name] = _File(content, gzip.compress(content, 9, mtime=0), kind)
    return found


def routes(folder: Path = STATIC) -> list[Route]:
    """`/` and what it needs."""

    async def page(request: Request) -> Response:
        file = built(folder).get("index.html")
        if file is None:
            return Response(_NOT_BUILT, status_code=404, media_type="text/plain; charset=utf-8")
        return _sent(request, file, "no-cache")

    async def static(request: Request) -> Response:
        file = built(folder).get(request.path_params["name"])
        if file is None:
            return Response("there is no such file\n", status_code=404, media_type="text/plain; charset=utf-8")
        return _sent(request, file, "max-age=31536000, immutable" if request.url.query else "no-cache")

    return [Route("/", page), Route("/static/{name}", static)]


def _sent(request: Request, file: _File, cache: str) -> Response:
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, media_type=file.kind, headers=headers)
    return Response(file.packed, media_type=file.kind, headers=headers | {"Content-Encoding": "gzip"})
