"""Registers in every type and byte order: which way is the right one?"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.workbench.orders import AS_EXPECTED, ORDERS, TYPES, Order, decoded, guesses, looks_wrong


def registers(value: float, kind: str, order: Order) -> list[int]:
    """A value as a device of that order sends it."""
    size, form = TYPES[kind]
    data = struct.pack(form, value)
    words = [int.from_bytes(data[2 * i : 2 * i + 2], "big") for i in range(size)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return words if order in ("ABCD", "CDAB") else [(word >> 8) | (word & 0xFF) << 8 for word in words]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["float32", "int32", "uint32", "float64", "int64", "uint64"])
def test_each_order_is_read_as_the_collector_reads_it(kind: str, order: Order) -> None:
    """What `--orders` shows is what a tag of that type and byte order would be."""
    assert decoded(registers(1234, kind, order), kind, order) == 1234


@pytest.mark.parametrize("order", ORDERS)
@given(value=st.floats(min_value=0.0625, max_value=9e8, width=32))
def test_what_was_expected_is_found_first(order: Order, value: float) -> None:
    """A float in any order is the first guess where its size is known."""
    found = [one for one in guesses([registers(value, "float32", order)], expect=value) if one.remark == AS_EXPECTED]
    assert ("float32", order, value) in {(one.type, one.order, one.value) for one in found}
    assert guesses([registers(value, "float32", order)], expect=value)[0] in found, "what was expected stands first"


def test_a_scaled_value_is_found_with_its_scale() -> None:
    """503 where 50.3 was expected."""
    found = {(one.type, one.order): one for one in guesses([[503]], expect=50.3)}
    assert found["uint16", "ABCD"].remark == "as expected with scale: 0.1"
    assert not found["uint16", "BADC"].plausible
    assert not any(one.plausible for one in guesses([[1]], expect=100_000)), "one digit says nothing"
    assert any(one.plausible for one in guesses([[12]], expect=12_000))


def test_a_value_that_jumps_is_not_plausible() -> None:
    """Over several reads the right order moves a little, a wrong one jumps."""
    reads = [registers(value, "float32", "CDAB") for value in (50.1, 50.3, 50.2)]
    likely = {(one.type, one.order) for one in guesses(reads) if one.plausible and one.type == "float32"}
    assert ("float32", "CDAB") in likely
    assert ("float32", "ABCD") not in likely


@pytest.mark.parametrize(
    ("value", "kind", "wrong"),
    [(2.378e-41, "float32", True), (-1.5e33, "float32", True), (0.0, "float32", False), (50.0, "float32", False),
     (2.378e-41, None, False), (3, "uint32", False)],
)  # fmt: skip
def test_a_size_that_a_wrong_order_makes(value: object, kind: str | None, wrong: bool) -> None:
    """`check --live` marks floats of a size that hardly any measurement has."""
    assert looks_wrong(value, kind) is wrong
