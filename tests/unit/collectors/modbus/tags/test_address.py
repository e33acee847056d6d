from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.modbus.tags.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("holding:0", Address("holding", 0)),
        ("input:10.4", Address("input", 10, 4)),
        ("coil:3", Address("coil", 3)),
        ("discrete:7", Address("discrete", 7)),
        ("holding:0x10", Address("holding", 16)),
        ("holding:0xFFFF.15", Address("holding", 65535, 15)),
        ("holding:010", Address("holding", 10)),
        ("40001", Address("holding", 0)),
        ("400001", Address("holding", 0)),
        ("40021", Address("holding", 20)),
        ("465536", Address("holding", 65535)),
        ("30010.4", Address("input", 9, 4)),
        ("10001", Address("discrete", 0)),
        ("00001", Address("coil", 0)),
        (" holding:5 ", Address("holding", 5)),
    ],
)
def test_notations(text: str, address: Address) -> None:
    """Every notation means one place."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (40021, r'"40021" in quotes .*holding:20.*"holding:40021" for offset 40021'),
        (400021, r'"400021" in quotes .*holding:20\)$'),
        (10001, "discrete:0"),
        (10.4, '"holding:10.4"'),
        (5, '"holding:5"'),
        (True, "is not an address"),
        (None, "is not an address"),
        ("5", '"holding:5"'),
        ("40000", "count from one"),
        ("20001", "begins with 0, 1, 3 or 4"),
        ("465537", "lies beyond"),
        ("holding:65536", "lies beyond"),
        ("holding:1.16", "bits 0"),
        ("coil:3.1", '"coil:3"'),
        ("register:3", "area:offset"),
        ("holding:-1", "area:offset"),
        ("holding", "area:offset"),
        ("", "area:offset"),
    ],
)
def test_refusals_say_what_to_write(value: object, hint: str) -> None:
    """What is no address is refused with what to write instead; a bare number with both its readings."""
    with pytest.raises(ValueError, match=hint):
        parse_address(value)


@given(st.sampled_from(["coil", "discrete", "input", "holding"]), st.integers(0, 65535))
def test_written_addresses_are_read_back(area: str, offset: int) -> None:
    """`str` and `parse_address` are each other's inverse, and Modicon counts one further."""
    assert parse_address(f"{area}:{offset}") == parse_address(str(parse_address(f"{area}:{offset}")))
    digit = {"coil": "0", "discrete": "1", "input": "3", "holding": "4"}[area]
    assert parse_address(f"{digit}{offset + 1:05d}") == parse_address(f"{area}:{offset}")


@given(st.text(max_size=20) | st.integers() | st.floats() | st.booleans())
def test_anything_else_is_a_value_error(value: object) -> None:
    """Whatever is written, it is an address or a ValueError."""
    try:
        assert isinstance(parse_address(value), Address)
    except ValueError as error:
        assert "write" in str(error) or "go from" in str(error) or "bits" in str(error)  # noqa: PT017
