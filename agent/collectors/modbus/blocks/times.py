"""Dates and times in registers → ISO 8601. Pure.

| type | registers |
|---|---|
| unix32, unix64, unix64_ms, unix64_ns | seconds (milli-, nanoseconds) since 1970-01-01 UTC, unsigned |
| datetime_iec870 | four: CP56Time2a (IEC 60870-5-4) big-endian: year; month, day; SU hour, IV minute; milliseconds |
| datetime_6 | six: year (two digits count from 2000), month, day, hour, minute, second |

IEC 61131-3: DATE_AND_TIME and DATE are unix32, LDT is unix64_ns; TIME and TIME_OF_DAY are milliseconds, uint32 with
`scale: 0.001`. What a device says in its own zone is said without one, unless `utc_offset` is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

Read = Callable[[Any], tuple[str, bool]]
"""Raw item → text, and whether the device trusts its own clock. ValueError, OverflowError: no date and time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"unix32": 1, "unix64": 1, "unix64_ms": 1000, "unix64_ns": 1_000_000_000}
_SIX = Struct(">6H")


def read_time(kind: str, utc_offset: int | None) -> Read:
    """How a type is read; `utc_offset`: minutes the device's clock is ahead of UTC."""
    if kind in _PER_SECOND:
        return _since_1970(_PER_SECOND[kind])
    return _iec870(utc_offset) if kind == "datetime_iec870" else _six(utc_offset)


def _since_1970(per_second: int) -> Read:
    def read(raw: int) -> tuple[str, bool]:
        instant = _EPOCH + timedelta(microseconds=raw * 1_000_000 // per_second)
        return _iso(instant.replace(tzinfo=None)) + "Z", True

    return read


def _iec870(utc_offset: int | None) -> Read:
    def read(raw: int) -> tuple[str, bool]:
        if raw == 0xFFFFFFFFFFFFFFFF:
            raise ValueError("all ones")
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
        summer = 60 if hour_minute & 0x8000 else 0
        return _placed(instant, None if utc_offset is None else utc_offset + summer), not hour_minute & 0x80

    return read


def _six(utc_offset: int | None) -> Read:
    def read(raw: bytes) -> tuple[str, bool]:
        parts: Sequence[int] = _SIX.unpack(raw)
        year, month, day, hour, minute, second = parts
        century = 2000 if year < 100 else 0
        instant = datetime(century + year, month, day, hour, minute, second)  # noqa: DTZ001 - see above
        return _placed(instant, utc_offset), True

    return read


def _placed(local: datetime, utc_offset: int | None) -> str:
    return _iso(local) if utc_offset is None else _iso(local - timedelta(minutes=utc_offset)) + "Z"


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds" if instant.microsecond % 1000 else "milliseconds")
