"""DateTime values to 100 ns: the library cuts them to microseconds.

It has no hook for that but the table of its primitives, which is therefore changed, once, for the process. Only times
that have hundreds of nanoseconds become a :class:`Moment`; everything else is as before.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import Primitives


class Moment(dt.datetime):
    """An instant with what a datetime cannot hold."""

    hundreds: int = 0  #: of nanoseconds, 0 to 9

    @classmethod
    def of(cls, whole: dt.datetime, hundreds: int) -> Moment:
        """`whole` and some hundreds of nanoseconds."""
        made = cls.combine(whole.date(), whole.timetz())
        made.hundreds = hundreds
        return made


class _DateTime:
    pack = staticmethod(Primitives.DateTime.pack)

    @staticmethod
    def unpack(data: Any) -> dt.datetime:
        ticks: int = Primitives.Int64.unpack(data)
        instant: dt.datetime = ua.win_epoch_to_datetime(ticks)
        hundreds = ticks % 10
        return Moment.of(instant, hundreds) if hundreds and 0 < ticks < _LAST else instant


_LAST = 2_650_467_744_000_000_000  #: 9999-12-31: what lies beyond is no time


def install() -> None:
    """Idempotent."""
    if not isinstance(Primitives.DateTime, _DateTime):
        Primitives.DateTime = _DateTime()  # type: ignore[assignment]
