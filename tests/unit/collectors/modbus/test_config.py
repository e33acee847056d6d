from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.collectors.modbus.blocks.plan import BlockLimits
from agent.collectors.modbus.config import ModbusConfig
from agent.config.loader import load
from tests.support.points import point_at

ROOT = Path(__file__).resolve().parents[4]


def config(tags: dict[str, Any] | None = None, **keys: Any) -> ModbusConfig:
    return ModbusConfig.model_validate({"type": "modbus", "url": "tcp://10.0.0.1", "tags": tags or {}} | keys)


def test_the_example_of_the_design() -> None:
    """The device of the reference configuration is understood as it is written there."""
    press = config(
        {
            "oil_temperature": {"address": "holding:0", "type": "float32", "unit": "Cel", "scale": 0.1, "offset": 0},
            "running": {"address": "coil:3"},
            "overload": {"address": "input:10.4"},
            "serial_number": {"address": "holding:100", "type": "string", "length": 15, "interval": "once"},
            "part_count": {"address": "40021", "type": "uint32", "interval": "10s", "byte_order": "CDAB"},
        },
        url="tcp://192.168.10.21:502",
    )
    assert press.points() == [
        point_at(0, "holding", 0, 2, "float32"),
        point_at(1, "coil", 3, 1, "bool"),
        point_at(2, "input", 10, 1, "bool", bit=4),
        point_at(3, "holding", 100, 8, "string", length=15),
        point_at(4, "holding", 20, 2, "uint32", order="CDAB"),
    ]
    assert [info.type for info in press.catalogue()] == ["float32", "bool", "bool", "string", "uint32"]
    assert [info.interval for info in press.catalogue()] == [1000, 1000, 1000, "once", 10000]
    assert press.limits == BlockLimits(125, 2000, 0)
    assert press.unit_id == 1


def test_a_register_is_unsigned_where_nothing_is_said() -> None:
    """The default type is bool for bits and uint16 for registers."""
    table = config({"a": {"address": "holding:1"}, "b": {"address": "holding:1.0"}, "c": {"address": "discrete:1"}})
    assert [tag.data_type for tag in table.tags.values()] == ["uint16", "bool", "bool"]


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ({"tls": {"ca_file": "ca.pem"}}, "write tls://"),
        ({"dtu": {"heartbeat": "hb"}}, "write tcp-listen://"),
        ({"url": "tcp-listen://0.0.0.0:9000", "dtu": {"registration": "0x1"}}, "pairs of hexadecimal digits"),
        ({"workarounds": {"echo": True}}, "has no echo"),
        ({"workarounds": {"extra_zeros": "skip"}}, "is for RTU"),
        ({"url": "ascii+tcp://10.0.0.1", "workarounds": {"extra_zeros": "skip"}}, "is for RTU"),
        ({"url": "rtu+tcp://10.0.0.1", "workarounds": {"transaction_ids": "ignore"}}, "RTU and ASCII have neither"),
        ({"url": "rtu+tcp://10.0.0.1", "workarounds": {"mbap_length": "ignore"}}, "RTU and ASCII have neither"),
        ({"retries": 4}, "less than or equal to 3"),
        ({"url": "serial:///dev/ttyS0", "unit_id": 0}, "broadcast"),
        ({"url": "tls://h", "tls": {"cert_file": "c.pem"}}, "belong together"),
    ],
)
def test_connections_refused(keys: dict[str, Any], hint: str) -> None:
    """What does not fit the kind of connection is refused, with what to write instead."""
    with pytest.raises(ValidationError, match=hint):
        config(**keys)


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ({"address": 40021}, 'write "40021" in quotes'),
        ({}, "Field required"),
        ({"address": "coil:1", "type": "uint16"}, "is one bit"),
        ({"address": "holding:1.2", "type": "uint16"}, "write holding:1"),
        ({"address": "holding:1", "type": "bool"}, "holding:1.0"),
        ({"address": "holding:1", "type": "string"}, "needs `length`"),
        ({"address": "holding:1", "length": 4}, "belongs to strings"),
        ({"address": "holding:1", "type": "string", "length": 0}, "greater than or equal to 1"),
        ({"address": "holding:1", "type": "string", "length": 251}, "less than or equal to 250"),
        ({"address": "coil:1", "byte_order": "DCBA"}, "means nothing for a coil"),
        ({"address": "holding:65535", "type": "uint32"}, "last start is 65534"),
        ({"address": "holding:1", "type": "float"}, "float32"),
        ({"address": "coil:1", "scale": 2}, "`scale` is for numbers"),
        ({"address": "holding:1", "type": "string", "length": 4, "range": {"min": 1}}, "`range` is for numbers"),
        ({"address": "holding:1", "lenght": 4}, "Extra inputs"),
    ],
)
def test_tags_refused(tag: dict[str, Any], hint: str) -> None:
    """A tag that cannot be meant is refused with what to write instead."""
    with pytest.raises(ValidationError, match=hint):
        config({"a": tag})


@pytest.mark.parametrize(
    "keys",
    [
        {"unit_id": 256}, {"unit_id": -1}, {"max_registers": 126}, {"max_registers": 0}, {"max_bits": 2001},
        {"max_gap": -1}, {"byte_order": "ACBD"}, {"baudrate": 9600},
    ],
)  # fmt: skip
def test_keys_out_of_range(keys: dict[str, Any]) -> None:
    """Limits of the protocol are limits of the configuration."""
    with pytest.raises(ValidationError):
        config(**keys)


def test_a_value_that_fits_no_request_is_refused() -> None:
    """A value is never split, so one longer than max_registers cannot be read."""
    with pytest.raises(ValidationError, match="raise max_registers to 4"):
        config({"energy": {"address": "holding:0", "type": "uint64"}}, max_registers=3)


def test_the_library_is_not_imported_by_the_configuration() -> None:
    """Validating and building a Modbus device needs no pymodbus."""
    code = (
        "import sys; from agent.collectors.modbus.config import ModbusConfig; "
        "from agent.testing.context import SimpleContext; "
        "ModbusConfig.model_validate({'type': 'modbus', 'url': 'tcp://h', 'tags': {'a': {'address': 'coil:1'}}})"
        ".build('d', SimpleContext()); sys.exit(any('pymodbus' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_schema_can_be_written() -> None:
    """The model has a JSON Schema, addresses and durations included."""
    schema = ModbusConfig.model_json_schema()
    assert schema["$defs"]["ModbusTag"]["properties"]["address"]["type"] == "string"


def test_the_example_is_a_configuration() -> None:
    """configs/examples/modbus.yaml is accepted as it stands."""
    loaded = load(ROOT / "configs" / "examples" / "modbus.yaml").config
    assert sorted(loaded.devices) == ["meter-01", "meter-02", "press-01"]
