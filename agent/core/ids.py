"""ULIDs: sortable 128-bit random names (48 bits of milliseconds, 80 of randomness) in Crockford's base 32."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(now_ms: int) -> str:
    """26 characters. Unique without coordination; the time part only helps people, nothing derives order from it."""
    number = (now_ms & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
