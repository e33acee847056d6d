from __future__ import annotations

import pytest

from agent.core.errors import ConfigError
from agent.simulator.description import load, plant_of
from agent.simulator.plant import ModbusDevice
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
    ("text", "reason"),
    [
        ("devices: {a: {kind: pres}}", "devices.a"),
        ("devices: {a: {kind: press, prot: 5020}}", "devices.a.press.prot"),
        ("devices: {}", "devices"),
        ("[]", "the file"),
        ("devices: [", "no YAML"),
        ("devices: {a: {kind: registers, holding: {0: [70000]}}}", "devices.a.registers.holding"),
    ],
)
def test_mistakes_in_a_description_are_named(tmp_path, text, reason):
    """A bad description is a ConfigError that says where."""
    path = tmp_path / "plant.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        load(path)


def test_missing_description_is_a_config_error(tmp_path):
    """A file that is not there is said so."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_shipped_example_is_valid():
    """configs/examples/plant.yaml describes a plant."""
    plant = plant_of(load(ROOT / "configs" / "examples" / "plant.yaml"))
    assert {"press-01", "meter-01", "cnc-07"} <= plant.devices.keys()
