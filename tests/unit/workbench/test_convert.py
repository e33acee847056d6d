"""Foreign configurations: what is carried over means the same, the rest is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.convert import convert_file
from agent.config.loader import load
from agent.workbench.convert import FORMATS, Converted, convert, recognised
from agent.workbench.convert.registers import order_of
from agent.workbench.convert.written import yaml_of

FOREIGN = Path(__file__).parent / "foreign"


def converted(file: str, **puts: str) -> Converted:
    """A file of ours in a foreign format, with places filled in."""
    text = (FOREIGN / file).read_text(encoding="utf-8")
    places = {"UAPLACE": "192.0.2.30:4840", "HOST": "192.0.2.9", '"PORT"': "502", "PLACE": "192.0.2.9:502"}
    for name, value in {**places, **puts}.items():
        text = text.replace(name, value)
    found = recognised(text)
    assert found is not None
    assert found[0] == file.partition(".")[0].partition("_")[0]
    return convert(*found)


def lost(result: Converted) -> list[str]:
    return [note.item for note in result.notes if note.lost]


def tags(result: Converted, device: str) -> dict[str, Any]:
    found = result.devices[device]["tags"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("file", sorted(path.name for path in FOREIGN.iterdir()))
def test_what_is_written_is_a_configuration(file: str, tmp_path: Path) -> None:
    """The YAML loads as it is, every tag of it; no secret of the foreign file is in it."""
    result = converted(file)
    text = yaml_of(result.devices)
    assert "planted-secret" not in text
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}\n" + text, encoding="utf-8")
    config = load(tmp_path / "agent.yaml", {}).config
    assert {name: list(one.tags) for name, one in config.devices.items()} == {
        name: list(one["tags"]) for name, one in result.devices.items()
    }


def test_telegraf() -> None:
    """Register lists, requests and metrics; a field that is left out there is left out here."""
    result = converted("telegraf.toml")
    press = result.devices["Press-1"]
    assert (press["url"], press["unit_id"], press["interval"]) == ("tcp://192.0.2.9:502", 3, "5s")
    assert press["tags"] == {
        "running": {"address": "coil:3"},
        "power": {"address": "holding:100", "type": "float32", "byte_order": "CDAB"},
        "oil_temperature": {"address": "holding:7", "type": "int16", "scale": 0.1},
        "low_half": {"address": "input:5", "type": "uint8", "bits": [0, 7]},
    }
    assert tags(result, "gateway-1") == {
        "flow": {"address": "input:0", "type": "float32", "byte_order": "DCBA"},
        "alarm": {"address": "input:3.4", "byte_order": "DCBA"},
    }
    assert tags(result, "gateway-2") == {"open": {"address": "coil:9"}}
    assert result.devices["meter"]["url"] == "serial:///dev/ttyS1?baudrate=19200&parity=E&stopbits=1"
    assert tags(result, "cnc") == {
        "speed": {"node": "ns=2;s=Spindle.Speed"},
        "load": {"node": "nsu=urn:cnc;s=Load"},
        "count": {"node": "ns=3;i=1001"},
    }
    assert result.devices["cnc"]["security"] == {"policy": "Basic256Sha256", "mode": "Sign"}
    assert lost(result) == [
        "inputs.modbus 1 holding_registers torn", "inputs.opcua_listener 1", "inputs.cpu 1", "outputs.influxdb_v2"
    ]  # fmt: skip


def test_kepware_project() -> None:
    """Addresses count from one, the first word is the low one, groups become part of the name."""
    result = converted("kepware.json")
    press = result.devices["Press"]
    assert (press["url"], press["unit_id"], press["byte_order"]) == ("tcp://192.0.2.9:502", 3, "CDAB")
    assert press["tags"] == {
        "Power": {"address": "holding:100", "type": "float32", "interval": "500ms"},
        "Oil.Temperature": {"address": "holding:7", "type": "int16", "scale": 0.1, "unit": "Cel"},
    }
    assert lost(result) == ["Hall 3.Press.Bad", "Sim.D1"]


@pytest.mark.parametrize(("attempts", "retries", "told"), [(3, None, 0), (1, None, 0), (4, 3, 0), (9, 3, 1)])
def test_attempts_of_kepware_are_retries(attempts: int, retries: int | None, told: int) -> None:
    """Where somebody chose; more than there are here are told."""
    device = {"servermain.DEVICE_ID_STRING": "<192.0.2.9>.1", "servermain.DEVICE_RETRY_ATTEMPTS": attempts}
    channel = {"servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Modbus TCP/IP Ethernet", "devices": [device]}
    result = convert("kepware", {"project": {"channels": [channel]}})
    assert [one.get("retries") for one in result.devices.values()] == [retries]
    assert len(lost(result)) == told


def test_what_is_damaged_costs_itself_only() -> None:
    """An input, a slave or a node of another form is told; the others of the file are converted."""
    good = {"name": "good", "controller": "tcp://h:502", "coils": [{"name": "c", "address": [1]}]}
    odd = [{**good, "workarounds": "none"}, {**good, "request": ["x"], "configuration_type": "request"}]
    result = convert("telegraf", {"inputs": {"modbus": [*odd, good]}})
    assert "c" in tags(result, "good")
    assert lost(result) == ["inputs.modbus 1", "inputs.modbus 2"]
    value = {"tag": "t", "type": "16int", "functionCode": 3, "address": 1}
    slaves = [
        {"host": "h", "timeseries": [{"tag": "no address"}]},
        {"host": "h", "deviceName": "b", "timeseries": [value]},
    ]
    result = convert("thingsboard", {"master": {"slaves": slaves}})
    assert "t" in tags(result, "b")
    assert [note.text for note in result.notes if note.lost] == ["not of the expected form: there is no 'address'"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[inputs.modbus]]\ncontroller = tcp://h\n", "TOML with a mistake: Invalid value (at line 2"),
        ('{"project": {"channels": [', "JSON with a mistake: Expecting value: line 1"),
        ("agent: {id: gw}\n", "not recognised; known formats: kepware, "),
    ],
)
def test_why_a_file_is_not_recognised(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first mistake of one that is nearly right."""
    (tmp_path / "file").write_text(text)
    assert convert_file(tmp_path / "file", None) == 2
    assert words in capsys.readouterr().err


def test_settings_of_neuron_are_carried_over() -> None:
    """Retries, the pause, places behind the point, and what is told only where it changes; a written tag is none."""
    tag = {"address": "1!400001", "type": 9, "attribute": 5, "precision": 2}
    written = {"name": "w", "address": "1!400003", "type": 9, "attribute": 2}
    params = {"host": "h", "port": 502, "max_retries": 2, "interval": 50}
    group = {"group": "g", "tags": [{"name": "t", **tag}, written]}
    result = convert("neuron", {"nodes": [{"name": "n", "plugin": "Modbus TCP", "params": params, "groups": [group]}]})
    (device,) = result.devices.values()
    assert (device["retries"], device["workarounds"]) == (2, {"pause_between_requests": "50ms"})
    assert device["tags"]["t"] == {
        "address": "holding:0", "type": "float32", "interval": "1s", "round": 2, "report": "on_change",
    }  # fmt: skip
    assert lost(result) == ["n g w"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_windows_programs(encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """UTF-16 is read with its mark and without."""
    (tmp_path / "tags.csv").write_bytes("Tag Name,Address,Data Type\nÖl,400001,Word\n".encode(encoding))
    assert convert_file(tmp_path / "tags.csv", None) == 0
    assert "Öl" in capsys.readouterr().out


def test_kepware_tags() -> None:
    """A list of tags names no device: what has to be written is said."""
    result = converted("kepware.csv")
    assert tags(result, "kepware") == {
        "Power": {"address": "holding:100", "type": "float32", "description": "active power", "interval": "500ms"},
        "Level": {"address": "input:10", "type": "uint16", "scale": 10 / 4095, "unit": "m", "interval": "1s"},
        "Ready": {"address": "coil:3", "interval": "100ms"},
        "Bit 5": {"address": "holding:9.5", "interval": "100ms"},
        "Serial": {"address": "holding:199", "type": "string", "length": 20, "interval": "100ms"},
        "Zones": {"address": "holding:299", "type": "float32", "count": 8, "interval": "1s"},
        "Grid": {"address": "input:399", "type": "uint16", "count": 6, "interval": "1s"},
    }
    assert lost(result) == []
    assert [note.text for note in result.notes if note.item == "Grid"] == ["2 rows of 3 become one list, row by row"]
    assert "names no device" in result.notes[0].text


def test_what_telegraf_leaves_out_is_told() -> None:
    """Requests under a plugin of the register style, which is what it is where it says nothing."""
    plugin = {"controller": "tcp://h:502", "request": [{"slave_id": 3, "fields": [{"address": 0, "name": "a"}]}]}
    given = {"global_tags": {"site": "suzhou"}, "inputs": {"modbus": [plugin]}}
    assert lost(convert("telegraf", given)) == ["inputs.modbus 1 request", "global_tags"]


def test_settings_of_telegraf_are_carried_over_or_told() -> None:
    """Pauses, closing and where a string's characters are have keys here; every other key that is set is named."""
    odd = {"pause_after_connect": "500ms", "close_connection_after_gather": True, "string_register_location": "upper"}
    field = {"address": 0, "name": "s", "type": "STRING", "length": 6, "output": "STRING", "measurement": "m"}
    request = {"byte_order": "DCBA", "optimization": "aggressive", "fields": [field]}
    plugin = {
        "controller": "tcp://h:502", "configuration_type": "request", "busy_retries": 3, "alias": "a", "made_up": 1,
        "workarounds": {**odd, "one_request_per_field": True, "read_coils_starting_at_zero": False},
        "request": [request, {"optimization": "none", "fields": []}],
    }  # fmt: skip
    result = convert("telegraf", {"inputs": {"modbus": [plugin]}})
    (device,) = result.devices.values()
    assert device["workarounds"] == {"pause_after_connect": "500ms", "close_after_cycle": True}
    text = {"type": "string", "length": 6, "string_order": "one_per_register_high"}
    assert device["tags"] == {"s": {"address": "holding:0", **text}}
    assert [f"{note.item}: {note.text.partition(':')[0]}" for note in result.notes if note.lost] == [
        "inputs.modbus 1: busy_retries", "inputs.modbus 1: made_up",
        "inputs.modbus 1 workarounds: one_request_per_field",
        "inputs.modbus 1 request 1: optimization", "inputs.modbus 1 request 1 field s: output",
    ]  # fmt: skip


def test_float32_of_telegrafs_register_style_is_an_unsigned_number() -> None:
    """There it is an old word for UFIXED, of one register as of two, and old files have their scale in quotes."""
    one = {"name": "factor", "byte_order": "AB", "data_type": "FLOAT32", "scale": 0.01, "address": [8]}
    two = {"name": "energy", "byte_order": "CDAB", "data_type": "FLOAT32", "scale": "0.001", "address": [5, 6]}
    result = convert(
        "telegraf", {"inputs": {"modbus": [{"controller": "tcp://h:502", "holding_registers": [one, two]}]}}
    )
    (device,) = result.devices.values()
    assert device["tags"] == {
        "factor": {"address": "holding:8", "type": "uint16", "scale": 0.01},
        "energy": {"address": "holding:5", "type": "uint32", "byte_order": "CDAB", "scale": 0.001},
    }
    assert [note.item.rpartition(" ")[2] for note in result.notes] == ["factor", "energy"]


@pytest.mark.parametrize(("number", "kind"), [(16, "uint16"), (17, "uint32"), (18, "uint64")])
def test_words_of_neuron_are_as_wide_as_there(number: int, kind: str) -> None:
    """WORD, DWORD and LWORD, by the numbers in Neuron's manual."""
    tag = {"name": "a", "address": "1!400001", "type": number}
    node = {"name": "m", "plugin": "Modbus TCP", "params": {"host": "h"}}
    data = {"nodes": [node], "groups": [{"driver": "m", "group": "g", "tags": [tag]}]}
    (device,) = convert("neuron", data).devices.values()
    assert device["tags"]["a"]["type"] == kind


def test_a_telegraf_node_keeps_how_it_is_watched() -> None:
    """Sampling, queue and deadband are carried over; labels and events are named; 1m30s is a duration."""
    node = {"name": "t", "namespace_uri": "urn:a", "identifier": "T", "default_tags": {"hall": "2"}}
    change = {"trigger": "StatusValue", "deadband_type": "Absolute", "deadband_value": 0.5}
    watched = {"sampling_interval": "100ms", "queue_size": 10, "data_change_filter": change}
    plugin = {
        "endpoint": "opc.tcp://h", "security_policy": "None", "subscription_interval": "1m30s", "events": [{}],
        "nodes": [{**node, "monitoring_params": watched}],
    }  # fmt: skip
    result = convert("telegraf", {"inputs": {"opcua_listener": [plugin]}})
    (device,) = result.devices.values()
    assert device["interval"] == "90s"
    assert device["tags"] == {
        "t": {"node": "nsu=urn:a;s=T", "sampling_interval": "100ms", "queue_size": 10, "deadband": 0.5}
    }
    assert lost(result) == ["inputs.opcua_listener 1 node t", "inputs.opcua_listener 1 events"]


@pytest.mark.parametrize(
    ("keys", "mode", "interval"),
    [
        ({"enableSubscriptions": True, "subCheckPeriodInMillis": 100}, "subscribe", "100ms"),
        ({"enableSubscriptions": False, "pollPeriodInMillis": 2000}, "poll", "2s"),
        ({"disableSubscriptions": True}, "poll", "3600s"),
    ],
)
def test_periods_of_thingsboard(keys: dict[str, object], mode: str, interval: str) -> None:
    """A server is subscribed to or polled at its own period; the other says how often new nodes are looked for."""
    mapping = [{"timeseries": [{"key": "t", "type": "identifier", "value": "${ns=2;i=5}"}]}]
    result = convert(
        "thingsboard", {"server": {"url": "h:4840", "scanPeriodInMillis": 3_600_000, **keys}, "mapping": mapping}
    )
    (device,) = result.devices.values()
    assert (device["mode"], device["interval"]) == (mode, interval)


def test_a_neuron_tag_with_a_bias_and_one_without_a_register() -> None:
    """Value x decimal + bias; a static tag has its value from who wrote it."""
    read = {"name": "r", "address": "1!400001", "type": 3, "attribute": 1, "decimal": 0.1, "bias": 5.0}
    still = {"name": "s", "address": "1!400002", "type": 3, "attribute": 8, "value": 7}
    groups = [{"driver": "m", "group": "g", "interval": 500, "tags": [read, still]}]
    nodes = [{"name": "m", "plugin": "Modbus TCP", "params": {"host": "192.0.2.1", "port": 502}}]
    result = convert("neuron", {"nodes": nodes, "groups": groups})
    assert tags(result, "m")["r"] == {
        "address": "holding:0", "type": "int16", "interval": "500ms", "scale": 0.1, "offset": 5.0
    }  # fmt: skip
    assert lost(result) == ["m g s"]


def test_opc_ua_nodes_of_neuron() -> None:
    """Polled by the interval of the group, or subscribed to; a number, a GUID or a name; an element of an array."""
    result = converted("neuron_nodes.json")
    assert tags(result, "cell") == {
        "speed": {"node": "ns=2;s=Speed", "interval": "500ms", "scale": 0.5},
        "second": {"node": "ns=2;s=Zones", "index_range": "1", "interval": "500ms"},
        "clock": {"node": "ns=0;i=2258", "interval": "500ms"},
        "door": {"node": "ns=1;g=c496578a-0dfe-4b8f-870a-745238c6ae00", "interval": "500ms"},
    }
    subscribed = result.devices["cell-sub"]
    assert (subscribed["mode"], subscribed["interval"]) == ("subscribe", "250ms")
    assert subscribed["tags"] == {"count": {"node": "ns=2;s=Count"}}
    assert lost(result) == ["meter g line", "cell-sub", "monitor"]


def test_a_serial_slave_of_thingsboard_without_orders() -> None:
    """LITTLE is the gateway's default: said, and not meant for strings and bits; one stop bit, as there."""
    values = [
        {"tag": "t", "type": "16uint", "functionCode": 4, "objectsCount": 1, "address": 1},
        {"tag": "s", "type": "string", "functionCode": 3, "objectsCount": 2, "address": 9},
    ]
    slave: dict[str, Any] = {
        "type": "serial",
        "method": "rtu",
        "port": "/dev/ttyS1",
        "unitId": 1,
        "deviceName": "m",
        "sendDataOnlyOnChange": True,
        "delayBetweenRequestsMs": 50,
        "timeseries": values,
    }
    period = {"type": "ON_REPORT_PERIOD", "reportPeriod": 10000}
    either = {"type": "ON_CHANGE_OR_REPORT_PERIOD", "reportPeriod": 60000}
    for tag, strategy in (("p", period), ("q", either)):
        slave["timeseries"] = [*slave["timeseries"], {**values[0], "tag": tag, "reportStrategy": strategy}]
    result = convert("thingsboard", {"master": {"slaves": [slave]}})
    reported = {name: (tag.get("report"), tag.get("max_silence")) for name, tag in tags(result, "m").items()}
    on_change = ("on_change", None)
    assert reported == {"t": on_change, "s": on_change, "p": (None, None), "q": ("on_change", "60s")}
    assert {name: tag.get("interval") for name, tag in tags(result, "m").items() if "interval" in tag} == {"p": "10s"}
    assert result.devices["m"]["workarounds"] == {"pause_between_requests": "50ms"}
    assert result.devices["m"]["url"] == "serial:///dev/ttyS1?baudrate=19200&parity=N&stopbits=1"
    assert result.devices["m"]["byte_order"] == "DCBA"
    text = {"address": "holding:9", "type": "string", "length": 4, "byte_order": "ABCD", "report": "on_change"}
    assert tags(result, "m")["s"] == text
    assert "no byteOrder and no wordOrder, which is LITTLE there" in result.notes[0].text


KEPWARE = {"common.ALLTYPES_NAME": "D", "servermain.DEVICE_ID_STRING": "<192.0.2.1>.1"}


@pytest.mark.parametrize(
    ("off", "orders"),
    [
        ((), {"byte_order": "CDAB"}),
        (("FIRST_WORD_LOW", "FIRST_DWORD_LOW"), {}),
        (("FIRST_DWORD_LOW",), {"byte_order": "CDAB", "byte_order_64": "CDABGHEF"}),
        (("FIRST_WORD_LOW",), {"byte_order_64": "EFGHABCD"}),
        (("MODBUS_BYTE_ORDER",), {"byte_order": "DCBA"}),
    ],
)
def test_byte_orders_of_kepware(off: tuple[str, ...], orders: dict[str, str]) -> None:
    """Its three switches as the letters of a value, also where 64 bits do not follow from 32."""
    device = {**KEPWARE, **{f"modbus_ethernet.DEVICE_{key}": False for key in off}}
    channel = {"servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Modbus TCP/IP Ethernet", "devices": [device]}
    made = convert("kepware", {"project": {"channels": [channel]}}).devices["D"]
    assert {key: made[key] for key in ("byte_order", "byte_order_64") if key in made} == orders


def test_what_else_a_kepware_project_says() -> None:
    """A negated value keeps its sign, a clamp is a range, serial settings are a URL, and an OPC UA client is one."""
    scaling = {f"servermain.TAG_SCALING_{key}": value for key, value in {
        "TYPE": 1, "RAW_LOW": 0, "RAW_HIGH": 100, "SCALED_LOW": 0, "SCALED_HIGH": 10, "NEGATE_VALUE": True,
        "CLAMP_HIGH": True,
    }.items()}  # fmt: skip
    tag = {"common.ALLTYPES_NAME": "T", "servermain.TAG_ADDRESS": "400001", "servermain.TAG_DATA_TYPE": 4, **scaling}
    driver, port = "servermain.MULTIPLE_TYPES_DEVICE_DRIVER", "servermain.CHANNEL_SERIAL_COMMUNICATIONS_"
    waits = {"servermain.DEVICE_REQUEST_TIMEOUT_MILLISECONDS": 2500,
             "servermain.DEVICE_INTER_REQUEST_DELAY_MILLISECONDS": 20}  # fmt: skip
    node = {"common.ALLTYPES_NAME": "S", "servermain.TAG_ADDRESS": "ns=2;s=Speed"}
    channels = [
        {driver: "Modbus RTU Serial", f"{port}BAUD_RATE": 19200, f"{port}PARITY": 69, f"{port}COM_ID": 3,
         "devices": [{"common.ALLTYPES_NAME": "M", "servermain.DEVICE_ID_STRING": "7", "tags": [tag], **waits}]},
        {driver: "OPC UA Client", "opcuaclient.CHANNEL_UA_SERVER_ENDPOINT_URL": "opc.tcp://h:4840",
         "devices": [{"common.ALLTYPES_NAME": "U", "tags": [node, {**node, "servermain.TAG_ADDRESS": "Speed"}]}]},
    ]  # fmt: skip
    result = convert("kepware", {"project": {"channels": channels}})
    assert result.devices["M"]["url"] == "serial:///dev/ttyS0?baudrate=19200&parity=E&stopbits=1"
    assert tags(result, "M") == {"T": {"address": "holding:0", "type": "int16", "scale": -0.1, "range": {"min": -10}}}
    assert result.devices["M"]["timeout"] == "2500ms"
    assert result.devices["M"]["workarounds"] == {"pause_between_requests": "20ms"}
    assert "security" not in result.devices["U"]
    assert result.devices["U"]["url"] == "opc.tcp://h:4840"
    assert tags(result, "U") == {"S": {"node": "ns=2;s=Speed"}}
    assert lost(result) == ["None.U.S"]


def test_what_is_damaged_in_a_kepware_project_costs_itself_only() -> None:
    """Each is named; the tags beside it are carried over."""
    tag = {"common.ALLTYPES_NAME": "T", "servermain.TAG_ADDRESS": "400001", "servermain.TAG_DATA_TYPE": 4}
    odd = {**tag, "common.ALLTYPES_NAME": "O", "servermain.TAG_DATA_TYPE": "Word"}
    device = {**KEPWARE, "tags": [5, odd, None, tag], "tag_groups": ["x"]}
    channel = {"servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Modbus TCP/IP Ethernet", "devices": ["y", device]}
    result = convert("kepware", {"project": {"channels": [channel]}})
    assert tags(result, "D") == {"T": {"address": "holding:0", "type": "int16"}}
    assert lost(result) == ["None", "None.D", "None.D.O", "None.D", "None.D"]


def test_a_kepware_channel_with_security() -> None:
    """The mode is carried over; a policy that nobody should speak any more is named."""
    channel = {
        "servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "OPC UA Client", "opcuaclient.CHANNEL_UA_SERVER_SECURITY_POLICY": 1,
        "opcuaclient.CHANNEL_UA_SERVER_MESSAGE_MODE": 2, "devices": [{"common.ALLTYPES_NAME": "U"}],
    }  # fmt: skip
    result = convert("kepware", {"project": {"channels": [channel]}})
    assert result.devices["U"]["security"] == {"policy": "Basic256Sha256", "mode": "Sign"}
    assert "Basic128Rsa15 is broken" in result.notes[0].text


def test_thingsboard_modbus() -> None:
    """Two words for one byte order; what writes is named and left out."""
    result = converted("thingsboard_modbus.json")
    press = result.devices["Press-1"]
    assert (press["byte_order"], press["interval"], press["description"]) == ("CDAB", "5s", "Press 1")
    assert press["tags"] == {
        "serial": {"address": "holding:200", "type": "string", "length": 16},
        "power": {"address": "holding:100", "type": "float32"},
        "oil_temperature": {"address": "holding:7", "type": "int16", "scale": 0.1},
        "running": {"address": "coil:3"},
    }
    assert lost(result) == ["Press 1 timeseries odd", "Press 1 rpc setValue"]


def test_thingsboard_opcua() -> None:
    """Node ids are carried over, patterns are named."""
    result = converted("thingsboard_opcua.json")
    assert result.devices["CNC-7"]["url"] == "opc.tcp://192.0.2.30:4840/server"
    assert tags(result, "CNC-7") == {"speed": {"node": "ns=2;s=Spindle.Speed"}}
    assert result.devices["CNC-7"]["browse"] == {"include": ["Device1/T"]}
    assert lost(result) == ["server", "mapping 1 timeseries pattern"]


def test_a_method_of_thingsboard_is_no_path() -> None:
    """It is told as a write, and nothing is looked for in its name."""
    assert converted("thingsboard_opcua_path.json").devices["Cell-P"]["browse"] == {
        "include": ["cell/Count", "cell/Speed"]
    }


def test_drivers_of_neuron() -> None:
    """What its API exports has the groups under their nodes; a node without tags is told."""
    result = converted("neuron_drivers.json")
    assert tags(result, "saw")["runs"] == {"address": "coil:3", "interval": "500ms"}
    assert lost(result) == ["idle"]


def test_neuron() -> None:
    """A device for each unit; orders as Neuron means them."""
    result = converted("neuron.json")
    assert tags(result, "press-3") == {
        "power": {"address": "holding:100", "type": "float32", "interval": "500ms", "byte_order": "CDAB"},
        "oil_temperature": {"address": "holding:7", "type": "int16", "interval": "500ms", "scale": 0.1},
        "running": {"address": "coil:3", "interval": "500ms"},
        "total": {"address": "holding:150", "type": "uint32", "interval": "500ms"},
        "alarm": {"address": "input:3.4", "interval": "500ms"},
        "serial": {"address": "holding:200", "type": "string", "interval": "500ms", "length": 16},
    }
    assert list(tags(result, "press-4")) == ["other_unit"]
    assert lost(result) == ["press fast bad", "s7", "mqtt"]


@pytest.mark.parametrize(
    ("node", "address", "kind", "ours"),
    [
        ({}, "1!400011", 9, {"address": "holding:10"}),
        ({}, "1!400011#LL", 9, {"address": "holding:10"}),
        ({}, "1!400011#LB", 9, {"address": "holding:10", "byte_order": "BADC"}),
        ({}, "1!400011#BL", 9, {"address": "holding:10", "byte_order": "CDAB"}),
        ({}, "1!40011#BB", 9, {"address": "holding:10", "byte_order": "DCBA"}),
        ({}, "1!400011#BL", 10, {"address": "holding:10", "byte_order": "CDAB"}),
        ({}, "1!400011", 10, {"address": "holding:10"}),
        ({}, "1!400011", 4, {"address": "holding:10"}),
        ({}, "1!400011#B", 4, {"address": "holding:10", "byte_order": "BADC"}),
        ({"endianess": 4}, "1!400011", 9, {"address": "holding:10", "byte_order": "CDAB"}),
        ({"endianess": 4}, "1!400011#LL", 9, {"address": "holding:10"}),
        ({"endianess": 4}, "1!400011", 4, {"address": "holding:10"}),
        ({"address_base": 0}, "1!400011", 4, {"address": "holding:11"}),
        ({}, "1!00001", 11, {"address": "coil:0"}),
    ],
)
def test_orders_of_neuron(node: dict[str, int], address: str, kind: int, ours: dict[str, str]) -> None:
    """`#LL` is the order of the standard and the default; a tag's order counts more than its node's."""
    tag = {"name": "t", "address": address, "type": kind}
    data = {
        "nodes": [{"name": "n", "plugin": "Modbus TCP", "params": {"host": "192.0.2.9", "port": 502, **node}}],
        "tags": [{"driver": "n", "group": "g", "tags": [tag]}],
    }
    found = tags(convert("neuron", data), "n")["t"]
    assert {key: found.get(key) for key in ("address", "byte_order")} == {"byte_order": None, **ours}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("AB", None), ("BA", "BADC"), ("ABCD", None), ("cdab", "CDAB"), ("GHEFCDAB", "CDAB"), ("CDABGHEF", "CDABGHEF")],
)
def test_byte_orders(theirs: str, ours: str | None) -> None:
    """The usual one is left out."""
    assert order_of(theirs) == ours


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agent: {id: gw}",
        "{}",
        "[1, 2]",
        '{"nodes": 3}',
        "[inputs",
        "a,b,c\n1,2,3\n",
        "\x00\x01",
        '{"project":' + "[" * 100_000,
        "a = " + "[" * 5_000,
    ],
)
def test_what_is_none_of_them(text: str) -> None:
    """Our own files, other JSON, other tables: not recognised."""
    assert recognised(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", sorted(FORMATS))
@given(data=JSON)
def test_a_damaged_file_costs_its_items(kind: str, data: Any) -> None:
    """Whatever a file holds, the converter ends with notes, never with a traceback."""
    shells = {
        "kepware": {"project": {"channels": data}},
        "telegraf": {"inputs": {"modbus": data}},
        "thingsboard": {"master": {"slaves": data}},
        "neuron": {"nodes": data, "tags": data},
    }
    yaml.safe_load(yaml_of(convert(kind, shells[kind]).devices))


@pytest.mark.parametrize(
    "text",
    [
        '"' + "a" * 200_000 + '",400001,Word\n',
        "a\0\x1b[2J,400002,Word\n",
    ],
    ids=["wide", "odd"],
)
def test_a_hostile_table_costs_its_rows(text: str) -> None:
    """A cell without end, and characters that no name has."""
    found = recognised("Tag Name,Address,Data Type\n" + text)
    assert found is not None
    yaml.safe_load(yaml_of(convert(*found).devices))


def test_a_number_without_end_costs_its_device() -> None:
    """JSON may say 1e999."""
    device = {"servermain.DEVICE_SCAN_MODE_RATE_MS": float("inf")}
    channel = {"servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Modbus TCP/IP Ethernet", "devices": [device]}
    result = convert("kepware", {"project": {"channels": [channel]}})
    assert lost(result) == ["kepware"]


@pytest.mark.parametrize("dot", [".", " . ", '."b".'])
def test_tables_within_each_other_without_end_are_nothing_that_anybody_wrote(dot: str) -> None:
    """40 kB of such a key took the standard library 13 s and 2.3 GB."""
    assert recognised(f"[[inputs.modbus]]\n{dot.join('a' * 20_000)} = 1") is None
    assert recognised('[[inputs.modbus]]\nname = "a.b.c"\n# ' + "1.5, " * 300) is not None


def test_one_name_for_all_is_numbered_once() -> None:
    """Names that are taken are not tried again and again: 20,000 of them took minutes."""
    result = Converted()
    tags = result.device("press", {})
    for _ in range(20_000):
        result.tag(tags, "t", {})
        result.device("press", {})
    assert list(tags)[-1] == "t_20000"
    assert list(result.devices)[-1] == "press-20001"


def test_letters_that_are_lost_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export of Windows is in a code page."""
    path = tmp_path / "tags.csv"
    path.write_bytes("Tag Name,Address,Data Type,Description\nT,400001,Word,Füllstand\n".encode("cp1252"))
    convert_file(path, None)
    assert "not UTF-8" in capsys.readouterr().err


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe would be waited for, a device has no end."""
    path = tmp_path / "given.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert convert_file(path, None) == 2
    assert "cannot be read: " in capsys.readouterr().err


def test_what_a_stranger_says_reaches_no_terminal_as_it_is() -> None:
    """A device's own words in `scan`: YAML has escapes for what turns a line around, and reads them as they were."""
    devices = {"unit-1": {"description": "a\u202egnp\x1b[2J\x9b Öl", "tags": {"x\u2066": {"address": "holding:0"}}}}

    written = yaml_of(devices)

    assert yaml.safe_load(written)["devices"] == devices
    assert all(char.isprintable() or char == "\n" for char in written)
    assert "Öl" in written
