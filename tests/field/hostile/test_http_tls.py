"""Strangers at the HTTP port with TLS: the door stands before the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from agent.config.model import Config
from agent.config.summary import warnings
from agent.core.errors import TransientError
from agent.web import connection
from agent.web.door import MOST_GUESTS
from agent.web.guard import Guard
from agent.web.pace import HANDSHAKE, VisitorPace
from agent.web.tls import Certificate
from tests.support.certs import Certs, make_certs
from tests.support.waiting import eventually
from tests.support.web import serving


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    """Of this machine."""
    return make_certs(tmp_path)


def _app() -> Guard:
    return Guard(Starlette(routes=[Route("/healthz", lambda _: PlainTextResponse())]), open_to_all=True, logins=None)


async def _healthy(port: int, certs: Certs) -> bool:
    trust = ssl.create_default_context(cafile=certs.ca)
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=trust, timeout=30) as client:
        return (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_handshakes_that_never_end_fill_nothing(certs: Certs, sent: bytes) -> None:
    """Of three hundred connections that say nothing, or half a hello, 64 stand, and the probe is answered."""
    async with serving(_app(), certificate=Certificate(certs.server_cert, certs.server_key)) as port:
        held = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                held.append(await asyncio.open_connection("127.0.0.1", port))
                held[-1][1].write(sent)
        assert await _healthy(port, certs)

        async def few() -> bool:
            return sum(not reader.at_eof() and reader.exception() is None for reader, _ in held) <= MOST_GUESTS

        await eventually(few)
        for _, writer in held:
            writer.close()


async def test_a_handshake_has_its_time(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for the header, and then it is over; what speaks no TLS hears so in the log."""
    monkeypatch.setattr(connection, "HEADER_WITHIN", 0.2)
    async with serving(_app(), certificate=Certificate(certs.server_cert, certs.server_key)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    async with serving(_app(), certificate=Certificate(certs.server_cert, certs.server_key)) as port:
        with capture_logs() as lines:
            with pytest.raises(httpx.HTTPError):
                async with httpx.AsyncClient() as client:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
            await eventually(lambda: "https://" in str(lines))


@pytest.mark.parametrize("broken", ["missing", "noise", "other key"])
async def test_without_a_certificate_nothing_is_served(tmp_path: Path, certs: Certs, broken: str) -> None:
    """Never in clear instead; it waits for one, and the reason names the keys."""
    cert, key = certs.server_cert, certs.server_key
    if broken == "missing":
        cert = tmp_path / "none.pem"
    elif broken == "noise":
        cert.write_bytes(b"\0" * 100)
    else:
        key = certs.client_key
    with pytest.raises(TransientError, match=r"http\.tls\.cert_file"):
        await Certificate(cert, key).context()


@pytest.mark.parametrize(
    ("http", "warned"),
    [
        ({"host": "0.0.0.0", "auth": {"token_file": "t"}}, True),
        ({"host": "0.0.0.0", "auth": {"token_file": "t"}, "tls": {"cert_file": "c", "key_file": "k"}}, False),
        ({"host": "127.0.0.1", "auth": {"token_file": "t"}}, False),
    ],
)
def test_check_warns_of_a_token_in_clear(http: dict[str, Any], warned: bool) -> None:
    """Beyond loopback and without TLS, with the key that mends it."""
    config = Config.model_validate({"agent": {"id": "gw"}, "http": http})
    assert any("in clear" in words and "tls: {cert_file" in words for words in warnings(config)) is warned


async def test_a_handshake_is_paid_for(certs: Certs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four peers that began them without a pause halved what was read of a neighbour: they are let in more slowly."""
    paid: list[float] = []
    monkeypatch.setattr(VisitorPace, "took", lambda _, seconds, **_stranger: paid.append(seconds))
    async with serving(_app(), certificate=Certificate(certs.server_cert, certs.server_key)) as port:
        assert await _healthy(port, certs)
    assert HANDSHAKE in paid
