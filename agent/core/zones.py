"""Clocks that show local time. Pure.

Twice a year a zone with summer time has an hour that is odd: in autumn one comes twice, in spring one is left out. A
time within the one that comes twice is taken for the later of the two, unless that would still be to come. One that
was left out is read as if the clock had not been put forward yet.
"""

from __future__ import annotations

import datetime as dt

#: Zones change at quarters of an hour, never within one, milliseconds.
_QUARTER = 900_000
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - of whatever zone
_MS = dt.timedelta(milliseconds=1)


class LocalTime:
    """Milliseconds since 1970 as a clock of this zone counts them ↔ epoch milliseconds UTC."""

    def __init__(self, zone: dt.tzinfo) -> None:
        self._zone = zone
        #: How far it is ahead of UTC, milliseconds, where that never changes.
        self.fixed = _ms(zone.utcoffset(None))
        self._quarter: int | None = None  # the one asked for last, and how far the clock is ahead in it
        self._first = self._second = 0

    def utc(self, local: int, before: int) -> int:
        """When the clock showed `local`; `before` is the latest that can be, by the agent's clock."""
        if self.fixed is not None:
            return local - self.fixed
        if local // _QUARTER != self._quarter:
            self._look(local // _QUARTER)
        later = local - self._second
        return later if self._first > self._second and later <= before else local - self._first

    def ahead(self, utc: int) -> int:
        """How far it is ahead of UTC at an instant, milliseconds."""
        if self.fixed is not None:
            return self.fixed
        try:
            shown = (_EPOCH + utc * _MS).replace(tzinfo=dt.UTC).astimezone(self._zone)
        except OverflowError:
            return 0
        return _ms(shown.utcoffset()) or 0

    def _look(self, quarter: int) -> None:
        self._quarter = quarter
        try:
            local = (_EPOCH + quarter * _QUARTER * _MS).replace(tzinfo=self._zone)
        except OverflowError:  # a time that is no time: nobody will believe it, whatever the zone
            self._first = self._second = 0
            return
        self._first = _ms(local.utcoffset()) or 0
        self._second = _ms(local.replace(fold=1).utcoffset()) or 0


def _ms(ahead: dt.timedelta | None) -> int | None:
    return None if ahead is None else ahead // _MS
