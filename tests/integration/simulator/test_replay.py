"""A device's traffic, recorded and replayed: the agent's bus sees the same again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.constants import ExcCodes

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.connection import Dtu, Workarounds
from agent.collectors.modbus.bus.recording import LINE_BYTES, MOST_BYTES
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest
from agent.collectors.modbus.bus.transports import bus_to
from agent.collectors.modbus.bus.url import parse_url
from agent.core.clock import SystemClock
from agent.core.errors import ConfigError, ConnectionLost
from agent.simulator.modbus import Silence
from agent.simulator.plant import ModbusDevice, PlantClock
from agent.simulator.replay import replay_of
from agent.testing.context import SimpleContext
from tests.integration.modbus.servers import Ask, Scripted, scripted

TIMEOUT = 0.15
#: What is asked, in this order, three times: function, offset, count.
ASKED = [(3, 0, 4), (4, 10, 2), (3, 500, 1), (3, 600, 2), (3, 700, 1), (3, 800, 3), (1, 0, 12)]


@asynccontextmanager
async def tired() -> AsyncIterator[Scripted]:
    """Its values move, one place is refused, one silent, one answers garbage, one hangs up."""
    turns: dict[int, int] = {}

    def script(ask: Ask) -> bytes | None:
        turn = turns[ask.offset] = turns.get(ask.offset, 0) + 1
        if ask.function == 1:
            return ask.frame(bytes((1, 2, 0xA5 ^ turn, 0x0F)))
        if ask.offset == 500:
            return ask.frame(bytes((0x83, 2)))
        if ask.offset == 600 and turn == 2:
            return None
        if ask.offset == 700 and turn == 1:
            return ask.frame(ask.registers(1, 2, 3))
        if ask.offset == 800 and turn == 2:
            server.peers[-1].abort()
            return None
        return ask.frame(ask.registers(*(100 * turn + place for place in range(ask.count))))

    async with scripted(script) as server:
        yield server


async def heard(url: str, path: Path | None = None) -> list[tuple[str, bytes, int]]:
    """What a bus hears in three rounds; recorded where there is a path."""
    found: list[tuple[str, bytes, int]] = []
    async with SimpleContext() as context:
        bus: ModbusBus = bus_to(parse_url(url), context, None, Dtu(), Workarounds())
        lines: list[bytes] = []
        if path is not None:
            bus.taps.add("press-01", 3, lines.append)
        with bus.used():
            for _ in range(3):
                for function, offset, count in ASKED:
                    try:
                        reply = await bus.ask(3, ReadRequest(function, offset, count, TIMEOUT))
                        found.append(("answer", reply.data, reply.code))
                    except (NoAnswer, BadReply, ConnectionLost) as error:
                        found.append((type(error).__name__, b"", 0))
        if path is not None:
            path.write_bytes(b"".join(line + b"\n" for line in lines))
    return found


async def test_the_same_again(tmp_path: Path) -> None:
    """Values, exceptions, silence, garbage and a closed connection, in the same order at the same requests."""
    async with tired() as device:
        original = await heard(device.url, tmp_path / "a.rec")
    assert {"answer", "NoAnswer", "WrongSize"} <= {kind for kind, _, _ in original}
    replay = replay_of(tmp_path / "a.rec", PlantClock(SystemClock(), 0.0))
    assert (replay.header.device, replay.header.unit) == ("press-01", 3)
    async with replay.plant as plant:
        assert await heard(plant.device("press-01").url) == original
        assert await heard(plant.device("press-01").url) == original, "and again from the beginning"


async def test_a_request_that_was_never_recorded(tmp_path: Path) -> None:
    """It is made of the registers that are known, and refused where one is not."""
    async with tired() as device:
        await heard(device.url, tmp_path / "a.rec")
    async with replay_of(tmp_path / "a.rec", PlantClock(SystemClock(), 0.0)).plant as plant, SimpleContext() as context:
        bus = bus_to(parse_url(plant.device("press-01").url), context, None, Dtu(), Workarounds())
        with bus.used():
            assert (await bus.ask(3, ReadRequest(3, 1, 2, 1.0))).data == bytes((0, 101, 0, 102))
            assert (await bus.ask(3, ReadRequest(3, 3, 2, 1.0))).code == 2


@pytest.mark.parametrize(
    ("others", "silent", "refused"),
    [
        ("", [(3, 0, 1), (3, 500, 2), (1, 0, 1)], []),  # nobody ever answered
        ('{"at":9,"function":3,"offset":20,"count":1,"ms":1,"data":"0007"}\n', [(3, 11, 1), (3, 8, 20)], [(3, 500, 2)]),
    ],
)
def test_what_was_silent_stays_silent(
    tmp_path: Path, others: str, silent: list[tuple[int, int, int]], refused: list[tuple[int, int, int]]
) -> None:
    """Also to requests that were never recorded: other tags ask for other blocks of the same silent places."""
    head = '{"recording":"edge-agent modbus 1","device":"press-01","unit":3,"from":0}\n'
    ask = '{"at":1,"function":3,"offset":10,"count":4,"ms":100,"end":"silent"}\n'
    (tmp_path / "a.rec").write_text(head + ask + others)
    plant = replay_of(tmp_path / "a.rec", PlantClock(SystemClock(), 0.0)).plant
    device = plant.devices["press-01"]
    assert isinstance(device, ModbusDevice)
    unit = device.unit
    for one in silent:
        with pytest.raises(Silence):
            unit.answer(*one, 0.0)
    assert [unit.answer(*one, 0.0) for one in refused] == [ExcCodes.ILLEGAL_ADDRESS] * len(refused)


@pytest.mark.parametrize(("content", "told"), [(b"x" * (LINE_BYTES + 5), "longer than any"), (b"", "no recording")])
def test_files_of_strangers(tmp_path: Path, content: bytes, told: str) -> None:
    """Neither an endless line nor an empty file gets further than the file itself."""
    (tmp_path / "a.rec").write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        replay_of(tmp_path / "a.rec", PlantClock(SystemClock(), 0.0))


def test_a_file_larger_than_any_recording(tmp_path: Path) -> None:
    """It is not even begun."""
    with (tmp_path / "a.rec").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ConfigError, match="no file of at most 256 MiB"):
        replay_of(tmp_path / "a.rec", PlantClock(SystemClock(), 0.0))
