"""What an outbox has given up since its start, and when that is told: at once, every minute, and when it is over. Pure.

An episode begins with the first record lost for one cause, and is over when the cause is: for a full outbox once it has
room again, else when nothing has been lost for a while.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from agent.core.flow import GapKind
from agent.core.ports import Lost

#: Totals of an episode that goes on are told this often, seconds.
EVERY = 60.0
#: An episode is over when nothing was lost for so long, seconds.
QUIET = 60.0
#: A full outbox has room again below this share of its bound: giving up a lump of it is not the end of being full.
ROOMY = 0.9
#: At the end so many devices are told one by one; the others as a sum.
MOST_DEVICES = 10

#: What is lost by the record, for a cause that lasts. (A quarantined or damaged record is told by itself.)
Cause = Literal["dropped", "expired", "overflow"]
_CAUSES: tuple[Cause, ...] = ("dropped", "expired", "overflow")


class LossNews(Struct, frozen=True):
    """What is to be told now."""

    cause: Cause
    device: str | None  #: None where it is about several
    devices: tuple[str, ...]  #: those that lost most first
    lost: Lost
    over: bool  #: the episode is


class _Episode(Struct):
    told: float  #: when it was told last
    last: float  #: when something was lost last
    by_device: dict[str, Lost]
    fresh: bool = True  #: something was lost since it was told


class LossCounter:
    """Counts them. Times in the arguments are monotonic seconds, but for `ts`: epoch milliseconds of a record."""

    def __init__(self) -> None:
        self.total = Lost()
        self.by_kind: dict[GapKind, int] = {}  #: records since they were last counted by the metrics
        self._episodes: dict[Cause, _Episode] = {}

    @property
    def full(self) -> bool:
        """Whether the outbox is, or was a moment ago."""
        return "dropped" in self._episodes

    def add(self, kind: GapKind, device: str, ts: int, readings: int, now: float) -> None:
        """One record is lost."""
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if kind == "quarantined":  # it is kept, and counted as such
            return
        self.total.add(ts, readings)
        for cause in _CAUSES:
            if cause == kind:
                episode = self._episodes.get(cause)
                if episode is None:
                    episode = self._episodes[cause] = _Episode(float("-inf"), now, {})
                episode.last, episode.fresh = now, True
                episode.by_device.setdefault(device, Lost()).add(ts, readings)

    def news(self, now: float, *, filled: float, closing: bool = False) -> list[LossNews]:
        """What is due; `filled` is the share of the bound that is in use. At the end, `closing`, all of it."""
        result: list[LossNews] = []
        for cause, episode in list(self._episodes.items()):
            over = filled < ROOMY if cause == "dropped" else now - episode.last >= QUIET
            if over or closing:
                del self._episodes[cause]
                result += _one_by_one(cause, episode.by_device)
            elif episode.fresh and now - episode.told >= EVERY:
                episode.told, episode.fresh = now, False
                result.append(_all(cause, episode.by_device, over=False))
        return result


def _all(cause: Cause, by_device: dict[str, Lost], *, over: bool) -> LossNews:
    total = Lost()
    for lost in by_device.values():
        total.merge(lost)
    most = _by_loss(by_device)
    return LossNews(cause, most[0] if len(most) == 1 else None, most, total, over)


def _by_loss(by_device: dict[str, Lost]) -> tuple[str, ...]:
    return tuple(sorted(by_device, key=lambda device: -by_device[device].records))


def _one_by_one(cause: Cause, by_device: dict[str, Lost]) -> list[LossNews]:
    most = _by_loss(by_device)
    told = most if len(most) <= MOST_DEVICES else most[: MOST_DEVICES - 1]
    result = [_all(cause, {device: by_device[device]}, over=True) for device in told]
    if rest := most[len(told) :]:
        result.append(_all(cause, {device: by_device[device] for device in rest}, over=True))
    return result
