"""ULIDs: sortable 128-bit random names (48 bits of milliseconds, 80 of randomness) in Crockford's base 32."""

from __future__ import annotations

import secrets
from hashlib import blake2b

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(now_ms: int, *, of: str | None = None) -> str:
    """26 characters. Unique without coordination; the time part only helps people, nothing derives order from it.

    With `of` always the same one for the same thing.
    """
    low = secrets.randbits(80) if of is None else int.from_bytes(blake2b(of.encode(), digest_size=10).digest())
    number = (now_ms & ((1 << 48) - 1)) << 80 | low
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def time_of(name: str) -> int:
    """The milliseconds a ULID was made at, as far as its clock was right; 0 for what is none."""
    try:
        return sum(_ALPHABET.index(letter) << 5 * (9 - place) for place, letter in enumerate(name[:10]))
    except ValueError:
        return 0
