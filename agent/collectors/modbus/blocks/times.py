"""Dates and times in registers → ISO 8601. Pure.

| type | registers |
|---|---|
| unix32, unix64, unix64_ms, unix64_ns | seconds (milli-, nanoseconds) since 1970-01-01, unsigned |
| datetime_iec870 | four: CP56Time2a (IEC 60870-5-4) big-endian: year; month, day; SU hour, IV minute; milliseconds |
| datetime_3 | three, a byte each: year (counts from 2000), month; day, hour; minute, second |
| datetime_6 | six: year (two digits count from 2000), month, day, hour, minute, second |

IEC 61131-3: DATE_AND_TIME and DATE are unix32, LDT is unix64_ns; TIME and TIME_OF_DAY are milliseconds, uint32 with
`scale: 0.001`. A date and time in the device's own zone has none in its text, unless it is configured; then it is in
UTC. `unix…` counts from 1970 in UTC, or in the zone that is configured: many controllers count local seconds.

Of the hour that comes twice at the end of summer time, the first is meant, unless the device says (CP56Time2a: SU).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from struct import Struct
from typing import Any

Read = Callable[[Any], tuple[str, bool]]
"""Raw item → text, and whether the device trusts its own clock. ValueError, OverflowError: no date and time."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of whatever zone
_PER_SECOND = {"unix32": 1, "unix64": 1, "unix64_ms": 1000, "unix64_ns": 1_000_000_000}
_SIX, _THREE = Struct(">6H"), Struct(">6B")


def read_time(kind: str, zone: tzinfo | None) -> Read:
    """How a type is read; `zone`: of the device's clock, where it is known."""
    if kind in _PER_SECOND:
        return _since_1970(_PER_SECOND[kind], zone or UTC)
    if kind == "datetime_iec870":
        return _iec870(zone)
    return _six(zone, _THREE if kind == "datetime_3" else _SIX)


def _since_1970(per_second: int, zone: tzinfo) -> Read:
    def read(raw: int) -> tuple[str, bool]:
        return _placed(_EPOCH + timedelta(microseconds=raw * 1_000_000 // per_second), zone), True

    return read


def _iec870(zone: tzinfo | None) -> Read:
    fixed = None if zone is None else zone.utcoffset(None)

    def read(raw: int) -> tuple[str, bool]:
        month_day, hour_minute, milliseconds = raw >> 32, raw >> 16, raw & 0xFFFF
        if milliseconds > 59_999:
            raise ValueError(f"{milliseconds} ms in a minute")
        instant = datetime(  # noqa: DTZ001 - its zone is dealt with below
            2000 + (raw >> 48 & 0x7F),
            month_day >> 8 & 0x0F,
            month_day & 0x1F,
            hour_minute >> 8 & 0x1F,
            hour_minute & 0x3F,
        ) + timedelta(milliseconds=milliseconds)
        summer, sure = bool(hour_minute & 0x8000), not hour_minute & 0x80
        if fixed is not None:  # of its standard time
            return _placed(instant, timezone(fixed + timedelta(hours=summer))), sure
        return _placed(instant.replace(fold=int(not summer)), zone), sure

    return read


def _six(zone: tzinfo | None, parts_of: Struct) -> Read:
    def read(raw: bytes) -> tuple[str, bool]:
        parts: Sequence[int] = parts_of.unpack(raw)
        year, month, day, hour, minute, second = parts
        century = 2000 if year < 100 else 0
        instant = datetime(century + year, month, day, hour, minute, second)  # noqa: DTZ001 - see above
        return _placed(instant, zone), True

    return read


def _placed(local: datetime, zone: tzinfo | None) -> str:
    if zone is None:
        return _iso(local)
    return _iso(local.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)) + "Z"


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds" if instant.microsecond % 1000 else "milliseconds")
