"""Strangers where DTUs dial in and servers call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.cli.check import check
from agent.collectors.common import dialin
from agent.collectors.modbus.bus.dialin import DtuPort
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually


@asynccontextmanager
async def listening(*allow: str) -> AsyncIterator[DtuPort]:
    """A port that expects the DTU `A-1`."""
    hall = DtuPort("127.0.0.1", 0, ManualClock())
    hall.expect(b"A-1", [ip_network(one) for one in allow])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hall.run())
        await eventually(lambda: hall.listening)
        yield hall
        task.cancel()


async def dial(hall: DtuPort, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", hall.port)
    writer.write(said)
    return reader, writer


def warned(logs: Sequence[Mapping[str, object]], event: str) -> list[Mapping[str, object]]:
    return [line for line in logs if line["event"] == event]


async def test_a_takeover_names_both() -> None:
    """Who says the registration of a DTU that stands gets its place, as the DTU itself must; it is not in silence."""
    async with listening() as hall:
        with capture_logs() as logs:
            first = await dial(hall, b"A-1")
            await eventually(lambda: hall._here)
            second = await dial(hall, b"A-1")
            assert await first[0].read() == b""
        (said,) = warned(logs, "modbus.dtu_taken_over")
        ports = [f"127.0.0.1:{writer.get_extra_info('sockname')[1]}" for _, writer in (first, second)]
        assert [said["before"], said["peer"]] == ports
        for _, writer in (first, second):
            writer.close()


async def test_silent_visitors_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has been silent for longest gives way to the next."""
    monkeypatch.setattr(dialin, "VISITORS", 4)
    async with listening() as hall:
        with capture_logs() as logs:
            silent = [await dial(hall) for _ in range(6)]
            dtu = await dial(hall, b"A-1")
            assert (await hall.ask(1, b"A-1")).fresh
            assert await silent[0][0].read() == b""
        assert warned(logs, "modbus.dtu_refused")
        assert len(hall._visitors) <= 4
        for _, writer in [*silent, dtu]:
            writer.close()


async def test_one_address_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback, where each machine has its own."""
    monkeypatch.setattr(dialin.DialledIn, "local", False)
    async with listening() as hall:
        silent = [await dial(hall) for _ in range(20)]
        await eventually(lambda: len(hall._visitors) == dialin.OF_ONE_ADDRESS)
        assert await silent[0][0].read() == b""
        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize(("allow", "enters"), [(["10.0.0.0/8"], False), (["10.0.0.0/8", "127.0.0.0/8"], True)])
async def test_a_device_dials_in_from_its_networks_only(allow: list[str], enters: bool) -> None:
    """Whoever knows the registration has to come from there as well."""
    async with listening(*allow) as hall:
        with capture_logs() as logs:
            reader, writer = await dial(hall, b"A-1")
            if enters:
                assert (await hall.ask(1, b"A-1")).fresh
            else:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
        assert bool(warned(logs, "modbus.dtu_refused")) is not enters
        writer.close()


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("{type: modbus, url: 'tcp-listen://0.0.0.0:9000', TAGS}", "whoever reaches 0.0.0.0:9000 is taken for"),
        ("{type: modbus, url: 'tcp-listen://0.0.0.0:9000', allow: [10.0.0.0/8], TAGS}", None),
        ("{type: modbus, url: 'tcp-listen://0.0.0.0:9000', dtu: {registration: A-1}, TAGS}", None),
        (
            "{type: opcua, reverse: {listen: '0.0.0.0:4841', server_uri: 'urn:a'}, NODES}",
            "whoever reaches 0.0.0.0:4841",
        ),
        ("{type: opcua, reverse: {listen: '0.0.0.0:4841', server_uri: 'urn:a'}, allow: [10.0.0.0/8], NODES}", None),
        ("{type: modbus, url: 'tcp-listen://0.0.0.0:9000', allow: [10.0.0.7/8], TAGS}", "write 10.0.0.0/8"),
        ("{type: modbus, url: 'tcp://10.0.0.1', allow: [10.0.0.0/8], TAGS}", "for units that dial in"),
        ("{type: opcua, url: 'opc.tcp://10.0.0.1', allow: [10.0.0.0/8], NODES}", "for servers that call"),
    ],
)
def test_check_warns_of_open_listeners(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str, words: str | None
) -> None:
    """Beyond loopback, without registration or proof and without an allow-list."""
    device = device.replace("TAGS", "tags: {t: {address: 'holding:0'}}").replace("NODES", "tags: {t: {node: 'i=2258'}}")
    (tmp_path / "agent.yaml").write_text(
        f"agent: {{id: gw-01, data_dir: {tmp_path}}}\ndevices: {{d: {device}}}\n", encoding="utf-8"
    )
    check(tmp_path / "agent.yaml")
    said = capsys.readouterr().err
    assert words is None or words in said
    assert words is not None or "whoever" not in said
