"""What registers hold for a value, written from the words of docs/configuration.md and not from the agent's codec."""

from __future__ import annotations

import struct

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


def registers_of(kind: str, order: str, value: float) -> list[int]:
    """As they lie on the wire (Modbus: big-endian). `kind`: one of FORMATS; `order`: one of ORDERS."""
    data = struct.pack(">" + FORMATS[kind], value)
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]
