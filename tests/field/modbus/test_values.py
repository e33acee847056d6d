"""Values as devices really put them into registers."""

from __future__ import annotations

import struct

import pytest

from agent.normalize import compile_normalizer
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, medium
from tests.integration.modbus.reading import take
from tests.integration.modbus.servers import device

NO_DATA = (None, "BadNoData")
CASES: dict[str, tuple[bytes, dict[str, object], tuple[object, str | None]]] = {
    "0xFF behind": (b"SN12345\xff\xff\xff", {"type": "string", "length": 10}, ("SN12345", None)),
    "0xFF in latin-1": (b"SN12\xff\xff", {"type": "string", "length": 6, "encoding": "latin-1"}, ("SN12", None)),
    "blanks around": (b"  RBC50-S1  ", {"type": "string", "length": 12}, ("RBC50-S1", None)),
    "empty flash": (b"\xff" * 10, {"type": "string", "length": 10, "null_values": "sunspec"}, NO_DATA),
    "empty flash, no preset": (b"\xff" * 10, {"type": "string", "length": 10}, ("", None)),
    "NaN": (b"\x7f\xc0\0\0", {"type": "float32", "null_values": "sunspec"}, NO_DATA),
    "NaN not swapped": (b"\x7f\xc0\0\0", {"type": "float32", "byte_order": "CDAB", "null_values": "sunspec"}, NO_DATA),
    "NaN swapped": (b"\0\0\x7f\xc0", {"type": "float32", "null_values": "sunspec"}, NO_DATA),
    "NaN of 64 bits swapped": (b"\0\0\0\0\0\0\x7f\xf8", {"type": "float64", "null_values": "sunspec"}, NO_DATA),
    "tiny but a number": (b"\0\1\x7f\xc0", {"type": "float32", "null_values": "sunspec"}, (1.37e-40, None)),
    "hexadecimal text": (b"\xff\x7f\xff\xff", {"type": "float32", "null_values": ["0xFF7FFFFF"]}, NO_DATA),
    "hexadecimal": (b"\xff\x7f\xff\xff", {"type": "float32", "null_values": [0xFF7FFFFF]}, NO_DATA),
    "hexadecimal of a NaN": (b"\xff\xff\xff\xff", {"type": "float32", "null_values": ["0xFFFFFFFF"]}, NO_DATA),
    "hexadecimal of 64 bits": (
        b"\xff\xef" + b"\xff" * 6,
        {"type": "float64", "null_values": {"0xFFEFFFFFFFFFFFFF": "BadSensorFailure"}},
        (None, "BadSensorFailure"),
    ),
    "a number after all": (struct.pack(">f", 70_000.0), {"type": "float32", "null_values": [70_000]}, NO_DATA),
    "scale factor not there": (
        struct.pack(">hh", -250, -0x8000),
        {"type": "int16", "scale_from": "holding:1"},
        NO_DATA,
    ),
    "int8 in the high byte": (b"\xf6\x19", {"type": "int8", "bits": [8, 15]}, (-10, None)),
    "uint8": (b"\xf6\x19", {"type": "uint8"}, (25, None)),
    "uint24": (b"\0\x12\x34\x56", {"type": "uint24"}, (0x123456, None)),
    "uint48": (b"\0\x12\x34\x56\x78\x9a", {"type": "uint48", "scale": 1}, (0x123456789A, None)),
    "a date of bytes": (bytes((26, 6, 13, 0, 1, 50)), {"type": "datetime_3"}, ("2026-06-13T00:01:50.000", None)),
}


@pytest.mark.parametrize("case", CASES)
async def test_values(case: str) -> None:
    """What a consumer gets for these registers: the value, or no value and the code that says why."""
    data, tag, (value, code) = CASES[case]

    def answer(ask: Ask) -> bytes:
        part = data[2 * ask.offset : 2 * (ask.offset + ask.count)]
        return ask.frame(bytes((ask.function, len(part))) + part)

    async with medium("tcp", answer) as peer, SimpleContext() as context:
        config = device(peer.url, {"a": {"address": "holding:0", **tag}})
        normalize = compile_normalizer("press", config.tag_table, cat=lambda: 1, clock=context.clock)
        async with config.build("press", context).open() as samples:
            batch = normalize(await take(samples))
    assert batch is not None
    (reading,) = batch.readings
    assert reading.code == code
    assert reading.value == (pytest.approx(value, rel=0.01) if isinstance(value, float) else value)
