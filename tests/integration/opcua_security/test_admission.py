from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.cli.trust import trust
from agent.core.errors import TransientError
from agent.core.flow import Sample
from agent.telemetry.metrics import CERT_EXPIRY
from agent.testing.clock import ManualClock
from tests.integration.opcua.server import Hall
from tests.integration.opcua_security.fort import Fort, collector, inside, trusting
from tests.support.opcua_pki import DAY, Pair, make_pair

SECURE = {"policy": "Basic256Sha256"}


async def try_to_open(url: str, data_dir: Path, **more: Any) -> None:
    """One attempt, left at once."""
    async with inside(url, data_dir, security=SECURE, **more):
        pass


async def leave(samples: AsyncIterator[Sample]) -> None:
    """Read until the connection breaks."""
    async for _ in samples:
        pass


async def test_an_unknown_server_is_kept_said_once_and_trusted_by_a_command(
    fort: Fort, server_pair: Pair, tmp_path: Path
) -> None:
    """Refused with the command that trusts it; the same collector gets in at its next try, without a restart."""
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw-01, data_dir: {tmp_path}}}\n", encoding="utf-8")
    made = collector(fort.url, tmp_path, security=SECURE)
    fort.doorman.came.clear()
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(
                TransientError, match=f"edge-agent trust -c agent.yaml {server_pair.thumbprint}"
            ) as caught:
                async with made.open():
                    pass
    assert 0 < (caught.value.retry_after or 0) <= 30
    (said,) = [line for line in logs if line["event"] == "opcua.certificate_rejected"]
    assert said["command"] == f"edge-agent trust -c agent.yaml {server_pair.thumbprint}"
    assert (tmp_path / "pki" / "rejected" / f"{server_pair.thumbprint}.der").read_bytes() == server_pair.raw
    assert fort.doorman.came == []
    assert trust(tmp_path / "agent.yaml", "dev") == 0
    async with made.open() as samples:
        await anext(samples)
        assert fort.plant.sessions() == 1


async def test_a_read_only_disk_does_not_let_anybody_in(fort: Fort, tmp_path: Path) -> None:
    """What cannot be kept as rejected is rejected all the same."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "rejected").write_text("a file where a folder should be", encoding="utf-8")
    with capture_logs() as logs, pytest.raises(TransientError, match="nobody has trusted it"):
        await try_to_open(fort.url, tmp_path)
    (said,) = [line for line in logs if line["event"] == "opcua.certificate_rejected"]
    assert said["kept"] is False


async def test_a_certificate_out_of_its_dates_is_refused_unless_allowed(
    hall: Hall, papers: Path, tmp_path: Path
) -> None:
    """Trusted or not, dates count; the configuration may say that they do not."""
    over = make_pair(papers, "over", ends=-DAY)
    server = await Fort.build(hall, over)
    data_dir = trusting(tmp_path, over)
    with pytest.raises(TransientError, match=r"valid from .*allow_expired"):
        await try_to_open(server.url, data_dir)
    async with inside(server.url, data_dir, security={**SECURE, "allow_expired": True}) as notebook:
        await notebook.heard()
    await server.stop()


async def test_a_clock_that_is_not_set_is_named_as_the_cause(fort: Fort, server_pair: Pair, tmp_path: Path) -> None:
    """A gateway that boots in 1970 says so, and tries again soon: time will be set."""
    clock = ManualClock(now_ms=1_000_000, synced=False)
    with pytest.raises(TransientError, match="clock is not set") as caught:
        await try_to_open(fort.url, trusting(tmp_path, server_pair), clock=clock)
    assert caught.value.retry_after


async def test_a_certificate_that_names_another_application_is_a_warning(
    hall: Hall, papers: Path, tmp_path: Path
) -> None:
    """Many controllers get their URI wrong; what is trusted is the certificate, and it is said once."""
    other = make_pair(papers, "other", uri="urn:somebody:else")
    server = await Fort.build(hall, other)
    with capture_logs() as logs:
        await try_to_open(server.url, trusting(tmp_path, other))
    (said,) = [line for line in logs if line["event"] == "opcua.certificate_mismatch"]
    assert (said["certificate"], said["server"]) == ("urn:somebody:else", "urn:test:server")
    await server.stop()


async def test_an_expiry_is_said_at_60_30_and_7_days_and_measured(
    fort: Fort, server_pair: Pair, tmp_path: Path
) -> None:
    """Each once, whether we connect again or stay connected; the own certificate has years and is not mentioned."""
    end = server_pair.certificate.not_valid_after_utc
    clock = ManualClock(now_ms=round((end - 61 * DAY).timestamp() * 1000))
    made = collector(fort.url, trusting(tmp_path, server_pair), security=SECURE, clock=clock)
    with capture_logs() as logs:
        for _ in range(2):
            async with made.open():
                pass
        guard = made._guard
        for _ in range(63):
            await clock.advance(dt.timedelta(days=1).total_seconds())
            for which, certificate in list(guard._watched.items()):
                guard._watch(which, certificate)
    said = [(line["certificate"], line["days"]) for line in logs if line["event"] == "opcua.certificate_expiring"]
    assert said == [("server", 60), ("server", 30), ("server", 7), ("server", 0)]
    assert CERT_EXPIRY.labels("dev", "server").value == end.timestamp()
    assert CERT_EXPIRY.labels("dev", "own").value > end.timestamp()


async def test_an_announced_name_need_not_be_reachable(fort: Fort, server_pair: Pair, tmp_path: Path) -> None:
    """The socket goes to `url`; `endpoint_url` is only what the server is told."""
    data_dir = trusting(tmp_path, server_pair)
    async with inside(
        fort.url, data_dir, security=SECURE, endpoint_url="opc.tcp://nobody.invalid:4840/plant"
    ) as notebook:
        await notebook.heard()
