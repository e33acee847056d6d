from __future__ import annotations

import os

import pytest

from agent.core.errors import ConfigError
from agent.simulator.description import load, plant_of
from agent.simulator.plant import ModbusDevice
from agent.simulator.replay import is_recording
from tests.support.processes import ROOT


def test_devices_on_one_port_share_a_server():
    """Two units behind one port are one gateway; other devices have their own server."""
    plant = plant_of(
        {
            "devices": {
                "a": {"kind": "press", "port": 5020},
                "b": {"kind": "meter", "port": 5020, "unit_id": 2},
                "c": {"kind": "meter"},
                "d": {"kind": "meter"},
            }
        }
    )
    servers = {name: device.server for name, device in plant.devices.items() if isinstance(device, ModbusDevice)}
    assert servers["a"] is servers["b"]
    assert len({id(server) for server in servers.values()}) == 3


def test_two_units_cannot_share_port_and_unit_id():
    """The second one is refused by name."""
    two = {"a": {"kind": "press", "port": 5020}, "b": {"kind": "meter", "port": 5020}}
    with pytest.raises(ConfigError, match=r"devices\.b: port 5020 already has a unit 1"):
        plant_of({"devices": two})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("devices:\n  a: {kind: pres}", ":2: `devices.a.kind`: unknown kind 'pres' -> did you mean `press`?"),
        ("devices:\n  a: {port: 5020}", ":2: `devices.a.kind` is missing -> write one of press, meter, cnc, registers"),
        ("devices:\n  a: {kind: press, prot: 1}", ":2: `devices.a.prot` is not a key -> did you mean `port`?"),
        ("devices:\n  a: 5", ":2: `devices.a` is no mapping -> write {kind: press, port: 5020}"),
        ("devices: {}", ":1: `devices`: there are none -> write for example `devices: {press-01: {kind: press"),
        ("[]", ":1: no description of a plant: it has no keys -> write for example `devices:"),
        ("devices: [", ":1: "),
        ("seed: 1\ndevices:\n  a: {kind: registers, holding: {0: [70000]}}", ":3: `devices.a.holding.0.0`: 70000 is"),
        (
            "devices:\n  a: {kind: press, port: 5}\n  b: {kind: meter, port: 5}",
            ":3: `devices.b`: a has port 5, unit 1, ",
        ),
        ("devices:\n  a: {kind: press, port: 5}\n  b: {kind: cnc, port: 5}", ":3: `devices.b`: a has port 5 already"),
        ('devices: {"a b": {kind: cnc}}', ":1: `devices`: 'a b' is not a name; use 1 to 64 of"),
    ],
)
def test_mistakes_are_told_as_check_tells_its_own(tmp_path, text, told):
    """File, line, what was found and what to write."""
    path = tmp_path / "plant.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}{told}")


def test_every_mistake_is_told_at_once(tmp_path):
    """One run shows them all, in the order of the file."""
    path = tmp_path / "plant.yaml"
    path.write_text("sed: 7\ndevices:\n  a: {kind: pres}\n  b: {kind: cnc, unit_id: 3}\n")
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert [one.line for one in raised.value.mistakes] == [1, 3, 4]


def test_missing_description_is_a_config_error(tmp_path):
    """A file that is not there is said so."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_description_that_is_a_pipe_or_a_huge_file_is_a_config_error(tmp_path):
    """A pipe is not waited for, neither as a recording; 300 MB took 1.4 GB of memory."""
    os.mkfifo(tmp_path / "pipe.yaml")
    assert not is_recording(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="a pipe or a device"):
        load(tmp_path / "pipe.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(ConfigError, match="more than 8 MiB"):
        load(tmp_path / "huge.yaml")


def test_shipped_example_is_valid():
    """configs/examples/plant.yaml describes a plant."""
    plant = plant_of(load(ROOT / "configs" / "examples" / "plant.yaml"))
    assert {"press-01", "meter-01", "cnc-07"} <= plant.devices.keys()
