"""How large a value is, whatever is made of it."""

from __future__ import annotations


def least(value: object) -> int:
    """Lower bound of the bytes it takes in a message: a character one, a float in an array four, as `0.0,`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if isinstance(value, list | tuple):
        return sum(map(least, value))
    if isinstance(value, dict):
        return sum(map(least, value.values()))
    return 0 if value is None or isinstance(value, bool) else 4 if isinstance(value, float) else 1


def over(size: int, most: int) -> str:
    """Why a value of at least this size is none."""
    return f"a value of {size} bytes or more is over the message limit of {most}"
