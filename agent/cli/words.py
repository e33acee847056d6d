"""Words for people at a terminal: local times, durations, counts; what strangers wrote is made harmless. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

from agent.core.text import counted, harmless, harmless_json

__all__ = ["counted", "harmless", "harmless_json", "instant", "lasting", "listed"]


def instant(ts: int, now: int, zone: tzinfo | None = None) -> str:
    """When that was, local time (or `zone`): the time alone where it is the same day as `now`. Epoch milliseconds."""
    when, today = (datetime.fromtimestamp(at / 1000, zone).astimezone(zone) for at in (ts, now))
    return when.strftime("%H:%M:%S" if when.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def lasting(seconds: float) -> str:
    """How long that is, in its two largest units: `58 min`, `3 h 5 min`, `2 d 4 h`."""
    left = round(seconds)
    if left < 1:
        return "less than a second" if seconds > 0 else "0 s"
    found: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or found:
            found.append((left // size, unit))
            left %= size
    return " ".join(f"{number} {unit}" for number, unit in found[:2] if number)


def listed(names: list[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b, c and 37 more`."""
    shown = names[:most] + ([f"{len(names) - most} more"] if len(names) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
