from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.collectors.modbus.blocks.budget import LATENCY_SECONDS, request_seconds
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.bus.url import parse_url
from agent.collectors.modbus.config import ModbusConfig
from agent.config.loader import load
from agent.config.summary import warnings
from agent.core.errors import ConfigError

EVEN = "serial:///dev/ttyUSB0?baudrate=9600"


def config(url: str, tags: dict[str, Any], **keys: Any) -> ModbusConfig:
    return ModbusConfig.model_validate({"type": "modbus", "url": url, "tags": tags} | keys)


@pytest.mark.parametrize(
    ("url", "count", "seconds"),
    [
        (EVEN, 20, 53 * 11 / 9600 + 2 * 3.5 * 11 / 9600),
        (EVEN, 125, 263 * 11 / 9600 + 2 * 3.5 * 11 / 9600),
        (EVEN + "&parity=N&stopbits=1", 20, 53 * 10 / 9600 + 2 * 3.5 * 11 / 9600),
        ("serial:///dev/ttyUSB0?baudrate=115200", 20, 53 * 11 / 115200 + 2 * 0.00175),
        (EVEN + "&framing=ascii", 20, (28 + 80) * 10 / 9600 + 2 * 3.5 * 11 / 9600),
    ],
)
def test_the_time_of_a_request(url: str, count: int, seconds: float) -> None:
    """Bytes there and back at the baud rate, two gaps, and what device and adapter need."""
    target = parse_url(url)
    block = Block("holding", 0, count, ())
    assert request_seconds(block, target.serial, target.framing) == pytest.approx(seconds + LATENCY_SECONDS)
    assert request_seconds(block, target.serial, target.framing, 0.5) == pytest.approx(seconds + LATENCY_SECONDS + 0.5)


def test_the_field_notes_agree() -> None:
    """Twenty registers at 9600 baud take about a tenth of a second, 125 about a third."""
    port = parse_url(EVEN).serial
    assert request_seconds(Block("input", 0, 20, ()), port, "rtu") == pytest.approx(0.1, abs=0.01)
    assert request_seconds(Block("input", 0, 125, ()), port, "rtu") == pytest.approx(0.34, abs=0.01)
    assert request_seconds(Block("coil", 0, 16, ()), port, "rtu") < request_seconds(
        Block("input", 0, 2, ()), port, "rtu"
    )


def test_the_load_of_a_device() -> None:
    """Every poll group counts at its own interval; what is read once or on an edge does not."""
    tags = {
        "a": {"address": "holding:0"},
        "b": {"address": "holding:50", "interval": "500ms"},
        "once": {"address": "holding:90", "interval": "once"},
        "bit": {"address": "coil:0"},
        "edge": {"address": "holding:70", "read_on": {"tag": "bit"}},
    }
    load = config(EVEN, tags, interval="2s").bus_load()
    assert load is not None
    port = parse_url(EVEN).serial
    register, bit = (request_seconds(Block(area, 0, 1, ()), port, "rtu") for area in ("holding", "coil"))
    assert load.share == pytest.approx(register / 0.5 + (register + bit) / 2)
    assert load.bus == "serial:///dev/ttyUSB0"
    assert load.words.startswith("1 request takes")
    assert config("tcp://h", tags).bus_load() is None


def written(tmp_path: Path, interval: str, devices: int = 3, **keys: object) -> Path:
    lines = ["agent: {id: gw}", "devices:"]
    for number in range(devices):
        lines += [
            f"  m{number}:",
            "    type: modbus",
            f"    url: {EVEN}",
            f"    unit_id: {number + 1}",
            f"    interval: {interval}",
            *(f"    {key}: {value}" for key, value in keys.items()),
            "    tags: {p: {address: 'input:0', type: float32, count: 20}}",
        ]
    path = tmp_path / "agent.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_bus_beyond_its_time_is_a_mistake(tmp_path: Path) -> None:
    """Devices of one serial port share its time; what does not fit is refused with the numbers and the place."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, "400ms"))
    (mistake,) = caught.value.mistakes
    assert mistake.line == 5
    assert "serial:///dev/ttyUSB0 would be busy 108%" in mistake.reason
    assert "m2 36% (1 request takes 0.145 s every 0.4 s)" in mistake.reason
    assert "higher baud rate" in mistake.hint


def test_a_nearly_full_bus_is_a_warning(tmp_path: Path) -> None:
    """From 80 per cent on it is said, below it is not."""
    said = [one for one in warnings(load(written(tmp_path, "500ms")).config) if "busy" in one]
    assert len(said) == 1
    assert "busy 87% of the time" in said[0]
    assert not [one for one in warnings(load(written(tmp_path, "1s")).config) if "busy" in one]
    assert load(written(tmp_path, "400ms", enabled="false")).config.devices


def test_buses_are_told_apart(tmp_path: Path) -> None:
    """Another port has time of its own."""
    path = written(tmp_path, "400ms")
    path.write_text(path.read_text().replace("ttyUSB0", "ttyUSB1", 1))
    assert load(path).config.devices
