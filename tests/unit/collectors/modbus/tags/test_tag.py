from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.collectors.modbus.blocks.layout import Layout, parse_range
from agent.collectors.modbus.blocks.plan import AddressRange
from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.modbus.tags.points import ModbusPoint
from agent.core.quality import number_of
from agent.normalize.convert import null_codes

NO_DATA = number_of("BadNoData")


def config(tags: dict[str, Any], **keys: Any) -> ModbusConfig:
    return ModbusConfig.model_validate({"type": "modbus", "url": "tcp://10.0.0.1", "tags": tags} | keys)


def point(tag: dict[str, Any], **keys: Any) -> ModbusPoint:
    return config({"a": {"address": "holding:0"} | tag}, **keys).points()[0]


@pytest.mark.parametrize(
    ("tag", "size", "catalogue"),
    [
        ({"type": "float16"}, 1, "float32"),
        ({"type": "bcd16"}, 1, "uint16"),
        ({"type": "bcd32"}, 2, "uint32"),
        ({"type": "sm16"}, 1, "int16"),
        ({"type": "sm32"}, 2, "int32"),
        ({"type": "mod10_32"}, 2, "uint32"),
        ({"type": "mod10_48"}, 3, "uint64"),
        ({"type": "mod10_64"}, 4, "uint64"),
        ({"type": "unix32"}, 2, "datetime"),
        ({"type": "datetime_iec870"}, 4, "datetime"),
        ({"type": "datetime_6"}, 6, "datetime"),
        ({"bits": [4, 7]}, 1, "uint16"),
        ({"type": "float32", "count": 5}, 10, "float32[]"),
        ({"address": "coil:0", "count": 20}, 20, "bool[]"),
        ({"type": "string", "length": 7}, 4, "string"),
        ({"type": "string", "length": 7, "string_order": "one_per_register"}, 7, "string"),
        ({"type": "int16", "scale_from": "holding:9"}, 1, "float64"),
        ({"type": "uint16", "offset": -40}, 1, "int32"),
        ({"type": "int16", "scale": 0.1, "count": 2}, 2, "float64[]"),
    ],
)
def test_sizes_and_types(tag: dict[str, Any], size: int, catalogue: str) -> None:
    """Each type takes its registers, and the catalogue names the type of the value that comes out."""
    device = config({"a": {"address": "holding:0"} | tag})
    assert device.points()[0].size == size
    assert device.catalogue()[0].type == catalogue


def test_orders_of_the_device_and_of_the_tag() -> None:
    """The tag's order goes before the device's; 64-bit values may have one of their own."""
    both = {"byte_order": "CDAB", "byte_order_64": "CDABGHEF"}
    assert point({"type": "uint64"}, **both).form.order == "CDABGHEF"
    assert point({"type": "uint32"}, **both).form.order == "CDAB"
    assert point({"type": "uint64", "byte_order": "DCBA"}, **both).form.order == "DCBA"
    assert point({"type": "uint64", "byte_order": "GHEFCDAB"}).form.order == "CDAB"
    assert point({"type": "string", "length": 8}, byte_order="BADC").form.order == "BADC"
    assert point({"bits": 3}).form.bits == (3, 3)
    assert point({"bits": [7, 4]}).form.bits == (4, 7)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [("int16", -0x8000), ("uint32", 0xFFFFFFFF), ("int64", -(2**63)), ("uint64", 2**64 - 1), ("float32", "nan")],
)
def test_sunspec_names_a_sentinel_for_each_type(kind: str, raw: object) -> None:
    """`null_values: sunspec`, of the tag or of the device, is what SunSpec says for the type."""
    for device in (
        config({"a": {"address": "holding:0", "type": kind, "null_values": "sunspec"}}),
        config({"a": {"address": "holding:0", "type": kind}}, null_values="sunspec"),
    ):
        assert null_codes(device.tag_table["a"])[raw] == NO_DATA
        assert device.points()[0].form.nulls == ()


def test_sentinels_of_what_is_no_longer_raw_are_the_codecs() -> None:
    """Where the codec takes a value apart, it looks for the sentinels, and the normalizer for none."""
    preset = config({"a": {"address": "holding:0", "bits": [0, 3]}}, null_values="sunspec")
    assert preset.points()[0].form.nulls == ((0xFFFF, NO_DATA),)
    assert preset.tag_table["a"].null_values is None
    named = {
        "address": "holding:0",
        "type": "int16",
        "scale_from": "holding:1",
        "null_values": {-1: "BadSensorFailure"},
    }
    device = config({"a": named})
    assert device.points()[0].form.nulls == ((-1, number_of("BadSensorFailure")),)
    assert device.tag_table["a"].null_values is None
    plain = config({"a": {"address": "holding:0", "bits": [0, 3], "null_values": [15]}})
    assert plain.points()[0].form.nulls == ()
    assert plain.tag_table["a"].null_values == [15]
    assert config({"a": {"address": "holding:0", "null_values": [0]}}, null_values="sunspec").tag_table[
        "a"
    ].null_values == [0]


@pytest.mark.parametrize(
    ("tag", "hint"),
    [
        ({"type": "float32", "bits": [0, 3]}, "takes a field out of a whole number"),
        ({"type": "int8", "bits": [0, 3]}, r"bits. of int8 is .0, 7., the low byte"),
        ({"bits": [0, 16]}, "bits 0 .least significant. to 15"),
        ({"type": "string", "length": 3, "count": 2}, "not of a string"),
        ({"address": "holding:0.1", "count": 2}, "not of a bit"),
        ({"encoding": "utf-8"}, "belongs to strings"),
        ({"string_order": "low_first"}, "belongs to strings"),
        ({"type": "string", "length": 3, "string_order": "low_first", "byte_order": "BADC"}, "leave `byte_order` out"),
        ({"type": "uint32", "byte_order": "ABDD"}, "each of ABCD once"),
        ({"type": "mod10_48", "byte_order": "ABCDEF"}, "is no order of 6 bytes"),
        ({"type": "mod10_64", "byte_order": "CDABGHEF"}, "modulo 10000 number takes"),
        ({"type": "unix32", "scale": 2}, "for numbers"),
        ({"type": "uint32", "utc_offset": "+08:00"}, "belongs to a date and time"),
        ({"type": "uint32", "time_zone": "Europe/Berlin"}, "belongs to a date and time"),
        ({"type": "unix32", "time_zone": "Berlin"}, "Europe/Berlin"),
        ({"type": "unix32", "time_zone": "UTC", "utc_offset": 0}, "contradict each other"),
        ({"type": "datetime_6", "utc_offset": "8"}, "no offset from UTC"),
        ({"type": "bcd16", "null_values": "sunspec"}, "names no sentinel"),
        ({"scale_from": "coil:1"}, "is a bit"),
        ({"scale_from": "nobody"}, "there is no tag 'nobody'"),
        ({"merge": False, "together": "x"}, "contradict each other"),
        ({"read_on": {"tag": "bit"}, "interval": "1s"}, "contradict each other"),
        ({"read_on": {"tag": "nobody"}}, "there is no tag 'nobody'"),
        ({"read_on": {"tag": "word"}}, "is no bit"),
        ({"read_on": {"tag": "off"}}, "is not polled"),
        ({"count": 126}, "no device takes more"),
    ],
)
def test_tags_refused(tag: dict[str, Any], hint: str) -> None:
    """A tag that cannot be meant is refused with what to write instead."""
    others = {
        "bit": {"address": "coil:0"},
        "word": {"address": "holding:5"},
        "off": {"address": "coil:1", "enabled": False},
    }
    with pytest.raises(ValidationError, match=hint):
        config({"a": {"address": "holding:0"} | tag} | others)


def test_a_tag_that_waits_for_an_edge_has_no_interval() -> None:
    """The catalogue names no interval for it, and nobody need wait for it."""
    device = config({"bit": {"address": "coil:0"}, "a": {"address": "holding:0", "read_on": {"tag": "bit"}}})
    assert [info.interval for info in device.catalogue()] == [1000, None]
    assert [tag.awaited for tag in device.tag_table.values()] == [False, True]


# --- the layout -------------------------------------------------------------------------------------------------------


def layout(tags: dict[str, Any], **keys: Any) -> Layout:
    return config(
        {name: {"address": tag} if isinstance(tag, str) else tag for name, tag in tags.items()}, **keys
    ).layout()


def test_a_scale_factor_is_read_with_its_value() -> None:
    """A tag of the same poll group is used as it is; any other is read beside it, once, and is not published."""
    tags = {
        "sf": {"address": "holding:9", "type": "int16"},
        "a": {"address": "holding:1", "scale_from": "sf"},
        "b": {"address": "holding:2", "scale_from": "sf", "interval": "5s"},
        "c": {"address": "holding:3", "scale_from": "holding:20"},
        "d": {"address": "holding:4", "scale_from": "holding:20"},
    }
    found = layout(tags)
    (_, every), (_, slow) = found.groups
    assert found.tags == 5
    assert {p.position: p.factor for p in every} == {0: None, 1: 0, 3: 5, 4: 5, 5: None}
    assert [(p.position, p.offset, p.factor) for p in slow] == [(2, 2, 6), (6, 9, None)]
    assert found.names[5:] == ("scale factor holding:20", "scale factor sf")


def test_triggered_tags_are_not_polled() -> None:
    """Tags with the same bit, edge, group and settle time are one trigger; they are in no poll group."""
    on = {"tag": "done", "group": "result"}
    tags = {
        "done": "coil:0",
        "weight": {"address": "holding:1", "read_on": on},
        "serial": {"address": "holding:9", "read_on": on | {"edge": "rising"}},
        "other": {"address": "holding:5", "read_on": {"tag": "done", "edge": "both", "settle": "50ms"}},
        "off": {"address": "holding:6", "read_on": on, "enabled": False},
    }
    found = layout(tags)
    assert [[p.position for p in points] for _, points in found.groups] == [[0]]
    first, second = found.triggers
    assert ([p.position for p in first.points], first.rising, first.falling, first.settle) == ([1, 2], True, False, 0.0)
    assert ([p.position for p in second.points], second.rising, second.falling) == ([3], True, True)
    assert second.settle == 0.05


def test_what_lies_in_never_read_is_not_asked_for() -> None:
    """Such a tag is known to be bad, and says where."""
    found = layout(
        {"a": "holding:9", "b": {"address": "holding:10", "type": "uint32"}}, never_read=["holding:0-5", "holding:11"]
    )
    assert found.unread == {1: "holding:11"}


def test_ranges() -> None:
    """A range names its first and its last offset, or one alone."""
    assert parse_range("holding:100-110") == AddressRange("holding", 100, 111)
    assert parse_range("coil:7") == AddressRange("coil", 7, 8)
    assert parse_range("input:0x10-0x1F") == AddressRange("input", 16, 32)
    assert parse_range("40101-110") == AddressRange("holding", 100, 111)
    assert [str(parse_range(text)) for text in ("holding:3-9", "input:4")] == ["holding:3-9", "input:4"]
    for text in ("holding:9-3", "100-110", "holding:1.2", "holding:1-70000", "holding"):
        with pytest.raises(ValueError, match=r"[a-z]"):
            parse_range(text)


@pytest.mark.parametrize(
    ("keys", "tags", "hint"),
    [
        ({}, {"a": {"address": "holding:0", "together": "x"},
              "b": {"address": "input:1", "together": "x"}}, "different areas"),
        ({}, {"a": {"address": "holding:0", "together": "x"},
              "b": {"address": "holding:125", "together": "x"}}, "do not fit"),
        ({}, {"a": {"address": "holding:0", "together": "x"},
              "b": {"address": "holding:1", "together": "x", "interval": "9s"}}, "at different times"),
        ({"never_read": ["holding:1"]}, {"a": {"address": "holding:0", "together": "x"},
                                         "b": {"address": "holding:2", "together": "x"}}, "covers holding:1"),
        ({"never_read": ["holding:0"]}, {"a": {"address": "holding:0", "together": "x"},
                                         "b": {"address": "holding:2", "together": "x"}}, "lies in never_read"),
        ({"align_registers": 4, "never_read": ["holding:4"]}, {"a": {"address": "holding:5"}}, "cannot be read"),
        ({"coils_from_zero": True, "max_bits": 9}, {"a": {"address": "coil:9"}}, "raise max_bits to 10"),
        ({"max_registers": 3}, {"a": {"address": "holding:0", "type": "uint64"}}, "raise max_registers to 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_at_load(keys: dict[str, Any], tags: dict[str, Any], hint: str) -> None:
    """Limits, alignment and groups that leave no way to read a tag are mistakes of the configuration."""
    with pytest.raises(ValidationError, match=hint):
        config(tags, **keys)
