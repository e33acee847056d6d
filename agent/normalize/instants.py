"""The instant a reading is asserted for (`ts`): it rises strictly per tag (docs/messages.md). Pure.

A source's time that is later than the tag's last `ts` is taken as it is. One in the same millisecond becomes the next
millisecond; an earlier one (a controller's clock behind or set back, a value queued during an outage) says nothing
about order, so the reading gets the time it arrived, at least the next millisecond. Counting up ends one second ahead
of the agent's clock: beyond that `ts` repeats, and the position in the record gives the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt

#: How far ahead of the agent's clock `ts` may get by counting up, milliseconds.
AHEAD_MS = 1000

Times = int | Sequence[int]  #: one for all, or one each


def instant(wanted: int, last: int, arrival: int) -> int:
    """`ts` of a reading that wants `wanted` and arrived at `arrival`; `last`, the tag's newest, where it repeats."""
    if wanted > last:
        return wanted
    when = arrival if wanted < last < arrival else last + 1
    return when if when <= arrival + AHEAD_MS else last


def instants(wanted: Times, last: Times, arrival: int) -> Times:
    """The same for a column of tags at once. Three comparisons of whole columns serve nearly every answer."""
    if isinstance(wanted, int):
        if wanted > (last if isinstance(last, int) else max(last)):
            return wanted
        if isinstance(last, int):
            return instant(wanted, last, arrival)
        return [instant(wanted, one, arrival) for one in last]
    if isinstance(last, int):
        if max(wanted) < last < arrival:  # source times that stand still: one arrival after the other
            return arrival
        if min(wanted) > last:
            return wanted
        return [one if one > last else instant(one, last, arrival) for one in wanted]
    if all(map(lt, last, wanted)):
        return wanted
    pairs = zip(wanted, last, strict=True)
    return [one if one > old else arrival if one < old < arrival else instant(one, old, arrival) for one, old in pairs]
