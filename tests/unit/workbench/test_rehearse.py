"""The configuration of a rehearsal: the same tags, and nothing of the plant."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.loader import Loaded, load
from agent.settings.devices import DeviceConfig
from agent.settings.tags import TagBase
from agent.workbench.rehearse import one_broker, rehearsed, text_of

ROOT = Path(__file__).parents[3]
ENVIRON = {"HOSTNAME": "gw-01", "HTTP_PORT": "8080", "BROKER": "broker.example", "MQTT_PASSWORD": "x"}
OTHERS = {"plant.yaml", "historian.yaml"}  # a description, and a historian's
EXAMPLES = sorted(path for path in (ROOT / "configs" / "examples").glob("*.yaml") if path.name not in OTHERS)
AWKWARD = """
agent: {id: gw, data_dir: data}
publishers:
  a: {type: mqtt, url: mqtts://broker-a.plant, username: gw, password_file: none.txt, tls: {ca_file: none.pem}}
  b: {type: mqtt, url: mqtts://broker-b.plant}
  c: {type: mqtt, url: mqtt://broker-c.plant, root: works, encoder: {type: value}}
devices:
  m:
    type: modbus
    url: serial:///dev/ttyUSB7?baudrate=9600
    unit_id: 9
    description: "costs $${x} 010 on"
    workarounds: {echo: true, pause_between_requests: 5ms}
    tags:
      yes: {address: "holding:0", enum: {0: off, 1: "010"}}
      "0x10": {address: "holding:1", null_values: {32768: BadSensorFailure}, description: "off"}
      n: {address: "holding:2", type: float32, null_values: [nan, "0xFF7FFFFF", -1]}
      wide: {address: "holding:4", type: uint64, byte_order: CDABGHEF, interval: 1500ms, deadband: {percent: 1.5}}
  o:
    type: opcua
    urls: [opc.tcp://10.9.9.9:4840, opc.tcp://10.9.9.10:4840]
    security: {policy: Basic256Sha256, mode: Sign, server_certificate: none.der}
    username: agent
    password_file: none.txt
    tags: {zone: {node: "ns=2;s=Zones", index_range: "3"}}
"""


def loaded(path: Path) -> Loaded:
    return load(path, ENVIRON, secrets=False)


def round_trip(before: Loaded, folder: Path) -> tuple[str, Loaded]:
    """The text of the rehearsal, and what is loaded from it."""
    urls = {
        name: "tcp://127.0.0.1:5020" if device.type == "modbus" else "opc.tcp://127.0.0.1:4841"
        for name, device in before.config.devices.items()
    }
    text = text_of(rehearsed(before, urls))
    (folder / "rehearsal.yaml").write_text(text, encoding="utf-8")
    return text, load(folder / "rehearsal.yaml", {})


def whole(device: DeviceConfig) -> dict[str, TagBase]:
    """Its tags; a stand-in has of an array only what is read of it."""
    return {tag: one.model_copy(update={"index_range": None}) for tag, one in device.tags.items()}


@pytest.mark.parametrize("path", [ROOT / "configs" / "agent.yaml", *EXAMPLES], ids=lambda path: path.name)
def test_all_tags_are_the_same(path: Path, tmp_path: Path) -> None:
    """Of every shipped configuration: what a tag means does not change, and it stands for itself."""
    before = loaded(path)
    text, after = round_trip(before, tmp_path)
    assert after.config.devices.keys() == before.config.devices.keys()
    for name, device in before.config.devices.items():
        was = {tag: one.model_copy(update={"index_range": None}) for tag, one in device.tags.items()}
        found = {
            tag: one.model_copy(update={"index_range": None}) for tag, one in after.config.devices[name].tags.items()
        }
        assert found == was
        assert after.config.location_of(name) == before.config.location_of(name)
        assert after.config.devices[name].interval == device.interval
    assert "192.168." not in text
    assert "192.0.2." not in text


def test_nothing_of_the_plant_is_left(tmp_path: Path) -> None:
    """No address, no secret, no data directory of the real agent; odd words are the same words again."""
    (tmp_path / "agent.yaml").write_text(AWKWARD)
    before = loaded(tmp_path / "agent.yaml")
    text, after = round_trip(before, tmp_path)
    for secret in ("plant", "none.", "ttyUSB", "10.9.9", "username", "password", "Basic256"):
        assert secret not in text
    assert after.config.devices["m"].tags == before.config.devices["m"].tags
    assert after.config.devices["m"].description == "costs ${x} 010 on"
    assert after.config.agent.data_dir == tmp_path / "rehearsal"


def test_publishers_that_would_meet_at_one_broker(tmp_path: Path) -> None:
    """Of two that write the same topics at two brokers the first is rehearsed; one with topics of its own is, too."""
    (tmp_path / "agent.yaml").write_text(AWKWARD)
    assert list(one_broker(loaded(tmp_path / "agent.yaml"))) == ["a", "c"]
