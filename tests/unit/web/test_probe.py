"""The probe of container health checks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.web import probe
from agent.web.guard import Guard
from agent.web.server import Pages
from agent.web.tls import Certificate
from tests.support.certs import make_certs
from tests.support.no_agent import no_agent
from tests.support.ports import free_port
from tests.support.web import serving


def _app() -> Guard:
    return Pages(
        healthy=lambda: None,
        ready=lambda: None,
        refresh=lambda: None,
        api=no_agent(),
        open_to_all=True,
        token_file=None,
    ).app()


@pytest.mark.parametrize("tls", [False, True])
async def test_it_finds_out_whether_the_port_speaks_tls(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that changed to TLS needs no other health check."""
    certs = make_certs(tmp_path)
    async with serving(_app(), certificate=Certificate(certs.server_cert, certs.server_key) if tls else None) as port:
        monkeypatch.setenv("EDGE_AGENT_HTTP_PORT", str(port))
        assert await asyncio.to_thread(probe.main) == 0
    assert "200 OK" in capsys.readouterr().out


def test_nobody_there_is_unhealthy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With a word on what to check."""
    monkeypatch.setenv("EDGE_AGENT_HTTP_PORT", str(free_port()))
    assert probe.main() == 1
    assert "EDGE_AGENT_HTTP_PORT" in capsys.readouterr().out
