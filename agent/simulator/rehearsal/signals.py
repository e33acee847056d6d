"""What a tag of a rehearsal says at t seconds: a plausible value, for ever the same for the same tag and t. Pure.

Where the configuration tells nothing (`range`, `enum`, `unit`) a value between 20 and 80 it is: rehearsed are the ways
of the data, not the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from zlib import crc32

from agent.settings.tags import TagBase

TAU = 2 * math.pi
STEP = 1.0  #: seconds between two changes of a value
_LONGEST, _SHORTEST = 240.0, 60.0  #: periods of the waves, seconds
_SWITCH = 12.0  #: seconds for which a bit, or a state, stays about

#: UCUM unit → usual values.
_USUAL: dict[str, tuple[float, float]] = {
    "Cel": (35, 55), "K": (300, 320), "bar": (5, 7), "mbar": (990, 1020), "kPa": (500, 700), "V": (226, 234),
    "A": (4, 16), "mA": (8, 12), "W": (800, 2400), "kW": (8, 24), "var": (100, 300), "V.A": (900, 2500),
    "Hz": (49.95, 50.05), "%": (40, 60), "1": (0.9, 0.99), "1/min": (1450, 1500), "mm/s": (1, 3), "mm": (10, 90),
    "m3/h": (2, 8), "l/min": (20, 60), "N": (200, 900), "kN": (200, 900), "s": (5, 15), "ms": (5, 15), "deg": (0, 90),
}  # fmt: skip
_DEFAULT = (20.0, 80.0)


class Signal:
    """One tag over time."""

    def __init__(self, device: str, name: str, tag: TagBase) -> None:
        seed = crc32(f"{device}/{name}".encode())
        self._phase = seed / 2**32
        self._period = _SHORTEST + (_LONGEST - _SHORTEST) * (seed % 997 / 997)
        self._low, self._high = _span(tag)
        self._states = sorted(tag.enum or ())
        self._scale = tag.scale or 1
        self._offset = tag.offset or 0
        self.text = name

    def switch(self, t: float) -> bool:
        """As a bit."""
        return int(t / _SWITCH + 2 * self._phase) % 2 == 1

    def raw(self, t: float, shift: int = 0) -> float:
        """As the device has it, before scale and offset; `shift`: the same a little later, for elements of arrays."""
        if self._states:
            return self._states[int(t / _SWITCH + self._phase + shift) % len(self._states)]
        angle = TAU * (t // STEP * STEP / self._period + self._phase + shift / 16)
        value = (self._low + self._high) / 2 + (self._high - self._low) / 2 * math.sin(angle)
        return (value - self._offset) / self._scale

    def whole(
        self, t: float, limits: tuple[int, int], nulls: Sequence[object], shift: int = 0, *, exponent: int = 0
    ) -> int:
        """The same as a whole number that has room within `limits`, and is none that means "no value".

        `exponent`: whoever reads it multiplies it with ten to the power of this.
        """
        low, high = limits
        number = round(self.raw(t, shift) * 10.0**-exponent)
        if not low <= number <= high:
            number = number % min(100, high + 1)
        while number in nulls and number > low:
            number -= 1
        return number


def _span(tag: TagBase) -> tuple[float, float]:
    """The middle half of what is allowed, else what is usual."""
    low, high = _USUAL.get(tag.unit or "", _DEFAULT)
    if tag.range is None:
        return low, high
    least, most = tag.range.min, tag.range.max
    if least is not None and most is not None:
        quarter = (most - least) / 4
        return least + quarter, most - quarter
    if least is not None:
        return max(low, least), max(high, least + 1)
    return min(low, (most or 0.0) - 1), min(high, most or 0.0)
