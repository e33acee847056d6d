"""What a source's timestamp is worth. Pure.

A source time that cannot be true (none, 1601, 9999, before 1990) or that lies ahead of our clock by more than
`max_skew` is not taken: the reading then carries the time its answer arrived, and shows the source's beside it. How
many were refused, and the largest lead seen, is kept for the device's notes. Old times are fine: a value that has not
changed for a year is a year old.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
NOT_BEFORE_MS = 631_152_000_000  #: 1990-01-01: older than any OPC server; catches 1601 and 1970
_UNBELIEVABLE_MS = 100 * 365 * 86_400_000  #: while our own clock was never set, only the far future is refused
_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})")


def parse_utc_offset(value: object) -> float:
    """Seconds of `+08:00`, `-05:30`, or of a plain 0."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if isinstance(value, str) and (match := _OFFSET.fullmatch(value.strip())):
        hours, minutes = int(match[2]), int(match[3])
        if hours <= 14 and minutes < 60:
            return (hours * 3600 + minutes * 60) * (-1.0 if match[1] == "-" else 1.0)
    raise ValueError(f'{value!r} is not an offset from UTC; write 0, "+08:00" or "-05:30"')


def format_utc_offset(seconds: float) -> str | int:
    """The notation parse_utc_offset reads."""
    minutes = round(abs(seconds) / 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if minutes else 0


class SourceClock:
    """The times of one device's source, judged.

    `utc_offset`: how far the controller's clock runs ahead of UTC (it runs on local time), seconds.
    """

    def __init__(
        self,
        *,
        use: bool = True,
        utc_offset: float = 0.0,
        max_skew: float = 5.0,
        synced: Callable[[], bool] = lambda: True,
    ) -> None:
        self._use = use
        self._synced = synced
        self._shift = round(utc_offset * 1000)
        self._max_skew = round(max_skew * 1000)
        self.refused = 0  #: timestamps not taken because they lie ahead or cannot be true
        self.ahead_ms = 0  #: largest lead over our clock seen

    def shown(self, source: dt.datetime) -> int:
        """Epoch milliseconds of a source time, believed or not."""
        return (source - _EPOCH) // _MS - self._shift

    def judge(self, source: dt.datetime | None, now_ms: int) -> int | None:
        """Epoch milliseconds, or None: use the time of arrival."""
        if source is None or not self._use:
            return None
        stamp = self.shown(source)
        if stamp > now_ms:
            lead = stamp - now_ms
            if lead > (self._max_skew if self._synced() else _UNBELIEVABLE_MS):
                self.refused += 1
                self.ahead_ms = max(self.ahead_ms, lead)
                return None
        elif stamp < NOT_BEFORE_MS:
            self.refused += 1
            return None
        return stamp


def is_off(skew_ms: float, max_skew: float, utc_offset: float) -> bool:
    """Whether a server's clock differs from ours by more than `max_skew` seconds, and is not on its local time either.

    `utc_offset` as configured: it may be the controller's alone, or the server's too.
    """
    return min(abs(skew_ms / 1000), abs(skew_ms / 1000 - utc_offset)) > max_skew


def epoch_ms(instant: dt.datetime) -> int:
    """Epoch milliseconds of an aware datetime, rounded down."""
    return (instant - _EPOCH) // _MS
