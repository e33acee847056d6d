"""Values that no payload can carry as they are. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import structs

from agent.core.flow import Reading
from agent.core.quality import BAD_OUT_OF_RANGE, name_of, number_of

_SIMPLE = (int, bool, str)


def finite(value: object) -> bool:
    """No NaN and no infinity in it, at any depth."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(finite(item) for item in value)
    return all(finite(item) for item in value.values()) if isinstance(value, dict) else True


def without_nonfinite(readings: Sequence[Reading]) -> list[Reading]:
    """NaN and infinity as bad readings without a value: neither is JSON, and neither may pass as good."""
    return [reading if finite(reading.value) else not_finite(reading) for reading in readings]


def not_finite(reading: Reading) -> Reading:
    """The reading, bad."""
    return out_of_range(reading, "not a finite number")


def out_of_range(reading: Reading, reason: str) -> Reading:
    """The reading, bad, without its value."""
    code = name_of(BAD_OUT_OF_RANGE)
    return structs.replace(reading, value=None, quality="bad", code=code, status=BAD_OUT_OF_RANGE, reason=reason)


def too_long(reading: Reading, size: int) -> Reading:
    """The reading, bad: one value over the broker's limit must not cost the other readings of its record."""
    code = "BadEncodingLimitsExceeded"
    reason = f"a value of {size} bytes is over the message limit"
    return structs.replace(reading, value=None, quality="bad", code=code, status=number_of(code), reason=reason)


def honest(reading: Reading) -> Reading:
    """The reading as any payload may say it: a value that is bad, or not finite, is no value."""
    value = reading.value
    if reading.quality == "bad":
        return reading if value is None else structs.replace(reading, value=None)
    kind = type(value)
    if kind is float:
        return reading if math.isfinite(value) else not_finite(reading)  # type: ignore[arg-type]
    return reading if kind in _SIMPLE or finite(value) else not_finite(reading)
