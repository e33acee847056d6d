"""Time zones in configurations: a fixed offset from UTC, or a zone with summer time by its name."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

_OFFSET = re.compile(r"([+-])([01]?[0-9]):([0-5][0-9])")


def parse_utc_offset(value: object) -> float:
    """Seconds of `+08:00`, `-05:30`, or of a plain 0."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if isinstance(value, str) and (match := _OFFSET.fullmatch(value.strip())) and int(match[2]) <= 14:
        return (int(match[2]) * 3600 + int(match[3]) * 60) * (-1.0 if match[1] == "-" else 1.0)
    raise ValueError(f'{value!r} is no offset from UTC; write 0, "+08:00" or "-05:30"')


def format_utc_offset(seconds: float) -> str | int:
    """The notation parse_utc_offset reads."""
    hours, minutes = divmod(round(abs(seconds) / 60), 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}" if seconds else 0


def check_time_zone(name: str) -> str:
    """A name of the IANA time zone database."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(_unknown(name)) from error
    return name


def _unknown(name: str) -> str:
    return (
        f"{name!r} is not in this machine's time zone database; write a name such as Europe/Berlin or Asia/Shanghai "
        "(where every name is refused, the system package tzdata is missing)"
    )


def zone_of(offset: float | None, name: str | None) -> dt.tzinfo | None:
    """The zone of a clock; None where neither is given."""
    if name is not None:
        return ZoneInfo(name)
    return None if offset is None else dt.timezone(dt.timedelta(seconds=offset))


UtcOffset = Annotated[
    float,
    PlainValidator(parse_utc_offset),
    PlainSerializer(format_utc_offset),
    WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^[+-]\d{1,2}:\d{2}$"}]}),
]
TimeZone = Annotated[str, AfterValidator(check_time_zone)]
