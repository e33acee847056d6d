"""Nobody who is not logged in gets a byte of data beyond loopback, whatever he sends: raw bytes over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.web import logins
from agent.web.sessions import digest
from tests.field.hostile.test_login import SECRET, TOKEN, Stage
from tests.support.web import own_address, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))

_METHODS = "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE CONNECT QUERY get"
_PIECES = (
    "/ data api v1 status stream metrics static app.js healthz readyz login logout openapi.json .. . // \\ ; ? # @ * ~ "
    "%2e%2e %2f %00 %0d%0a %252e :80 http://gw/ \xff"
)
_WORDS = (
    f"Bearer bearer Basic {TOKEN[:-1]} {TOKEN}x {TOKEN.upper()} {digest(TOKEN).hex()} null localhost gw __Host- = ;"
)
_NAMES = (
    "Authorization Cookie Host Origin X-Forwarded-For X-Forwarded-Proto Forwarded X-Original-URL X-Rewrite-URL "
    "X-HTTP-Method-Override Content-Length Transfer-Encoding Connection Upgrade Expect Content-Type Range"
)


def _of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


_PATHS = st.lists(_of(_PIECES), max_size=8).map(lambda parts: "/" + "".join(parts)) | st.text(max_size=40)
_VALUES = st.lists(_of(_WORDS) | st.just(" ") | st.text(max_size=20), max_size=5).map("".join)
_HEADERS = st.lists(st.tuples(_of(_NAMES), _VALUES), max_size=5)
_REQUESTS = st.tuples(_of(_METHODS), _PATHS, _HEADERS, st.binary(max_size=30))


async def test_whatever_a_stranger_sends_he_gets_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods, paths, cookies, headers and bodies at will; afterwards the one with the token gets his."""
    monkeypatch.setattr(logins, "GUESS", 0.0)
    monkeypatch.setattr(logins, "FORM_WITHIN", 0.05)
    stage = Stage(tmp_path)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.lists(_REQUESTS, min_size=1, max_size=10))
    def attack(requests: list[tuple[str, str, list[tuple[str, str]], bytes]]) -> None:
        for method, path, headers, body in requests:
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Host: gw"]
            lines += [f"Cookie: edge-agent-{port}={value}" for _, value in headers[:1]]
            sent = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\nConnection: close\r\n\r\n" + body
            assert SECRET.encode() not in _told(port, sent)

    async with serving(stage.app, "0.0.0.0") as port:
        await asyncio.to_thread(attack)
        right = f"GET /data HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        assert SECRET.encode() in await asyncio.to_thread(_told, port, right.encode())


def _told(port: int, sent: bytes) -> bytes:
    heard = bytearray()
    with socket.create_connection((own_address(), port), 10) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(sent)
        while part := sock.recv(65_536):
            heard += part
    return bytes(heard)
