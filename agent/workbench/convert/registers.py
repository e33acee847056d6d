"""Words that Modbus configurations share: data types and byte orders of others in ours."""

from __future__ import annotations

#: 8-bit halves of a register: the field of bits they are.
HALVES = {"L": [0, 7], "H": [8, 15]}

ORDERS = {"ABCD", "CDAB", "BADC", "DCBA"}


def order_of(text: str) -> str | None:
    """Our byte order for `AB`, `ABCD`, `CDAB`, `GHEFCDAB`, …; None for the usual one. ValueError for what is none."""
    order = text.upper()
    if order in ("", "AB", "ABCD", "ABCDEFGH"):
        return None
    if order == "BA":
        return "BADC"
    if order in ORDERS:
        return order
    if len(order) == 8 and set(order) == set("ABCDEFGH"):
        known = {"GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}
        return known.get(order, order)
    raise ValueError(text)


def linear(raw_low: float, raw_high: float, low: float, high: float) -> tuple[float, float]:
    """Scale and offset that take [raw_low, raw_high] to [low, high]. ZeroDivisionError for an empty range."""
    scale = (high - low) / (raw_high - raw_low)
    return _tidy(scale), _tidy(low - raw_low * scale)


def _tidy(value: float) -> float:
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
