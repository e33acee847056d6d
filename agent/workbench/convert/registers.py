"""Words that Modbus configurations share: data types and byte orders of others in ours."""

from __future__ import annotations

from math import isclose

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
    moved = raw_low * scale
    return _tidy(scale), 0 if isclose(low, moved, rel_tol=1e-12) else _tidy(low - moved)


def _tidy(value: float) -> float:
    """0.1 for 0.09999999999999998, and 0.0024420024420024 as exactly as it is."""
    rounded = float(f"{value:.12g}")
    near = rounded if isclose(rounded, value, rel_tol=1e-15) else value
    return int(near) if near.is_integer() and abs(near) < 1e15 else near
