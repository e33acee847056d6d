"""The library's DataValues as columns: the slow twin of `columns.py`, and what is left of an uncommon answer.

Pure: objects are looked at, the library is not imported.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from agent.collectors.opcua.wire.columns import FOREIGN, NOTHING, Columns

_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def columns_of(data_values: Sequence[Any]) -> Columns:
    """One row for each."""
    return Columns(
        [NOTHING if data.Value is None else FOREIGN for data in data_values],
        [data.Value for data in data_values],
        [0 if data.StatusCode is None else data.StatusCode.value for data in data_values],
        [None if data.SourceTimestamp is None else ticks_of(data.SourceTimestamp) for data in data_values],
    )


def ticks_of(instant: dt.datetime) -> int:
    """Hundreds of nanoseconds since 1601 (see values/exact.py for the last digit)."""
    return (instant - _EPOCH) // _MICROSECOND * 10 + int(getattr(instant, "hundreds", 0))
