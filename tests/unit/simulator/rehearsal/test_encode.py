"""What the simulator writes into registers, the agent's codec reads out of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from agent.collectors.modbus.blocks.codec import compile_block
from agent.collectors.modbus.blocks.plan import block_of
from agent.collectors.modbus.tags.points import REGISTERS, TIMES, DataType
from agent.collectors.modbus.tags.tag import ModbusTag, Shared
from agent.simulator.rehearsal.encode import Raw, limits_of, words_of

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
INSTANT = datetime(2026, 11, 28, 12, 30, 45, tzinfo=UTC)
WHOLE = [kind for kind in get_args(DataType) if kind not in TIMES and kind not in {"bool", "string"}]


def back(keys: dict[str, Any], values: list[Raw], held: int = 0) -> tuple[object, list[int]]:
    """The value the agent makes of it, and the registers."""
    point = ModbusTag.model_validate({"address": "holding:0", **keys}).point(0, Shared())
    words = words_of(point.form, values, [held] * point.size)
    assert len(words) == point.size
    assert all(0 <= word <= 0xFFFF for word in words)
    column = compile_block(block_of((point,)))(b"".join(word.to_bytes(2) for word in words))
    assert column.status == 0
    return column.values[0], words


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", WHOLE)
def test_numbers(kind: str, order: str) -> None:
    """Every numeric type in every byte order, at both ends of what it holds."""
    point = ModbusTag.model_validate({"address": "holding:0", "type": kind}).point(0, Shared())
    for value in limits_of(point.form) or (-100.5, 0.0625):
        assert back({"type": kind, "byte_order": order}, [value])[0] == value


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["int16", "float32", "uint64", "mod10_32", "int48"])
def test_arrays(kind: str, order: str) -> None:
    """Element by element."""
    assert back({"type": kind, "byte_order": order, "count": 3}, [1, 20, 300])[0] == [1, 20, 300]


@pytest.mark.parametrize("kind", sorted(TIMES))
@pytest.mark.parametrize("zone", [{}, {"time_zone": "Europe/Berlin"}, {"utc_offset": "+08:00"}])
def test_times(kind: str, zone: dict[str, str]) -> None:
    """An instant is the same instant again, whatever zone the device's clock is in."""
    for instant in (INSTANT, INSTANT.replace(month=7)):
        text, _ = back({"type": kind, **zone}, [instant])
        assert str(text).removesuffix("Z") == instant.isoformat(timespec="milliseconds").removesuffix("+00:00")


@pytest.mark.parametrize("keys", [{}, {"byte_order": "DCBA"}, {"string_order": "low_first"},
                                  {"string_order": "one_per_register"}, {"string_order": "one_per_register_high"},
                                  {"encoding": "gb18030"}])  # fmt: skip
def test_text(keys: dict[str, str]) -> None:
    """Text in every order of its characters, filled up and cut to its length."""
    assert back({"type": "string", "length": 7, **keys}, ["press"])[0] == "press"
    assert back({"type": "string", "length": 7, **keys}, ["press-0123"])[0] == "press-0"


@pytest.mark.parametrize("order", ["GHEFCDAB", "CDABGHEF", "BADCFEHG"])
def test_orders_of_eight_letters(order: str) -> None:
    """Any order of the bytes."""
    assert back({"type": "uint64", "byte_order": order}, [0x0102030405060708])[0] == 0x0102030405060708


def test_parts_of_registers_leave_the_rest() -> None:
    """A bit and a field are merged into what the register holds."""
    value, words = back({"type": "uint16", "bits": [4, 7]}, [9], held=0xF00F)
    assert (value, words) == (9, [0xF09F])
    value, words = back({"address": "holding:0.3"}, [True], held=0x8000)
    assert (value, words) == (True, [0x8008])
    assert back({"type": "int16", "bits": [0, 3], "byte_order": "BADC"}, [-3], held=0x0100)[0] == -3


def test_every_type_is_covered() -> None:
    """No data type of the configuration is unknown here."""
    assert set(REGISTERS) - set(TIMES) <= set(WHOLE)
