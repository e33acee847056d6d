"""What a source's timestamp is worth. Pure.

A source time that cannot be true (none, 1601, 9999, before 1990) or that lies ahead of our clock by more than
`max_skew` is not taken: the reading then carries the time its answer arrived, and shows the source's beside it. How
many were refused, and the largest lead seen, is kept for the device's notes. Old times are fine: a value that has not
changed for a year is a year old.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from agent.core.zones import LocalTime

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_TICKS_PER_MS = 10_000
_TICKS_1970 = 116_444_736_000_000_000  #: 100 ns from 1601 to 1970
_LAST_TICKS = 2_650_467_743_990_000_000  #: 9999-12-31 23:59:59: later ones mean that (OPC 10000-6, 5.2.2.5)
NOT_BEFORE_MS = 631_152_000_000  #: 1990-01-01: older than any OPC server; catches 1601 and 1970
_UNBELIEVABLE_MS = 100 * 365 * 86_400_000  #: while our own clock was never set, only the far future is refused


class SourceClock:
    """The times of one device's source, judged. `zone` is what the controller's clock shows."""

    def __init__(
        self,
        *,
        use: bool = True,
        zone: dt.tzinfo = dt.UTC,
        max_skew: float = 5.0,
        synced: Callable[[], bool] = lambda: True,
    ) -> None:
        self._use = use
        self._synced = synced
        self._zone = LocalTime(zone)
        self._max_skew = round(max_skew * 1000)
        self.refused = 0  #: timestamps not taken because they lie ahead or cannot be true
        self.ahead_ms = 0  #: largest lead over our clock seen

    def shown(self, source: dt.datetime, now_ms: int) -> int:
        """Epoch milliseconds of a source time, believed or not."""
        return self.shown_ms(epoch_ms(source), now_ms)

    def judge(self, source: dt.datetime | None, now_ms: int) -> int | None:
        """Epoch milliseconds, or None: use the time of arrival."""
        return None if source is None else self.judge_ms(epoch_ms(source), now_ms)

    def shown_ms(self, source: int, now_ms: int) -> int:
        """The same of milliseconds since 1970 as the source counts them."""
        return self._zone.utc(source, now_ms + self._max_skew)

    def judge_ms(self, source: int, now_ms: int) -> int | None:
        """The same of milliseconds since 1970 as the source counts them."""
        if not self._use:
            return None
        stamp = self.shown_ms(source, now_ms)
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

    def judge_all(self, ticks: Sequence[int | None], now_ms: int) -> list[int] | None:
        """Epoch milliseconds of source times (100 ns since 1601); None where one of them needs a closer look."""
        fixed = self._zone.fixed
        if fixed is None or not self._use or None in ticks:
            return None
        zero = _TICKS_1970 + fixed * _TICKS_PER_MS
        stamps = [(one - zero) // _TICKS_PER_MS for one in ticks]  # type: ignore[operator]  # none of them is None
        return stamps if min(stamps) >= NOT_BEFORE_MS and max(stamps) <= now_ms + self._max_skew else None


def is_off(skew_ms: float, max_skew: float, ahead_ms: int) -> bool:
    """Whether a server's clock differs from ours by more than `max_skew` seconds, and is not on its local time either.

    `ahead_ms`: how far that is ahead of UTC as configured; it may be the controller's alone, or the server's too.
    """
    return min(abs(skew_ms), abs(skew_ms - ahead_ms)) > max_skew * 1000


def epoch_ms(instant: dt.datetime) -> int:
    """Epoch milliseconds of an aware datetime, rounded down."""
    return (instant - _EPOCH) // _MS


def ticks_ms(ticks: int) -> int:
    """Epoch milliseconds of 100 ns since 1601, rounded down, within the years 1601 to 9999."""
    return (min(max(ticks, 0), _LAST_TICKS) - _TICKS_1970) // _TICKS_PER_MS
