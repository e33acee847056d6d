"""Where answers wait until the collector's iterator hands them on as one sample."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from agent.core.clock import Clock
from agent.core.flow import Answer, Loss, Sample, TagFacts

YIELD_EVERY = 0.01  #: at once if idle, else at most this often, seconds
MOST_NAMED = 100  #: tags a declared loss names; beyond that it concerns the device
MOST_VALUES = 20_000  #: above this nothing more is asked for: the server queues, and marks what overflows there


class Witness(Protocol):
    """Who must know what is handed on."""

    async def prepare(self, answers: Sequence[Answer]) -> None:
        """They are about to be; more may be added to them before this returns, but not after it has looked."""

    def handed(self, answers: Sequence[Answer]) -> None:
        """They were."""


class _Page(NamedTuple):
    answer: Answer
    claim: Callable[[], Awaitable[None]]
    handed: Callable[[], None]


class SampleInbox:
    """The asynchronous iterator of `Collector.open()`; one consumer.

    Bounded: who asks the server for more waits for :meth:`room` first. A failure is raised after everything that
    arrived before it was handed on, and again on every further call.
    """

    def __init__(self, clock: Clock, news: Callable[[], Mapping[int, str] | None], *, most: int = MOST_VALUES) -> None:
        self._clock = clock
        self._news = news
        self._most = most
        self._answers: list[Answer] = []
        self._losses: dict[str, Loss] = {}
        self._found: Sequence[str] = ()
        self._facts: Mapping[int, TagFacts] = {}
        self._said: Callable[[], None] | None = None
        self._labels: dict[int, Mapping[int, str]] = {}
        self._history: deque[_Page] = deque()
        self._present = False  # what was handed on last
        self._values = 0
        self._something = False
        self._skipped = self._scans = 0
        self._achieved_ms: int | None = None
        self._yielded = -YIELD_EVERY
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._taken = asyncio.Event()
        self._begun = False  # somebody takes what is here
        self._room.set()
        self._complaints: dict[str, str] = {}  # by what they are about
        self.witness: Witness | None = None
        self.unconfirmed: frozenset[int] = frozenset()  #: positions of tags that must not be repeated now
        self.error: Exception | None = None

    @property
    def full(self) -> bool:
        """Whether nothing more should be asked for just now."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until values may come in again."""
        await self._room.wait()

    def put(self, answer: Answer) -> None:
        """One answer, after those put before it."""
        self._answers.append(answer)
        self._values += len(answer.tags)
        if self._values >= self._most:
            self._room.clear()
        self.confirm()

    def remember(self, answer: Answer, claim: Callable[[], Awaitable[None]], handed: Callable[[], None]) -> None:
        """Out of the server's history; after everything that is of the present.

        `claim` is awaited before it is handed on, `handed` called with it.
        """
        self._history.append(_Page(answer, claim, handed))
        self._ready.set()

    @property
    def remembers(self) -> int:
        """How many answers out of history wait to be handed on."""
        return len(self._history)

    def confirm(self) -> None:
        """The server has just confirmed that nothing else changed."""
        self._something = True
        self._ready.set()

    def lose(self, loss: Loss) -> None:
        """Something was lost on the way here. Losses of one reason become one until they are handed on."""
        before = self._losses.get(loss.reason)
        self._losses[loss.reason] = loss if before is None else _both(before, loss)
        self.confirm()

    def label(self, labels: Mapping[int, Mapping[int, str]]) -> None:
        """The server's texts for enumerations, by position; before the values they belong to."""
        self._labels.update(labels)

    async def handed(self) -> None:
        """Wait until what is here now has been handed on."""
        if self._answers and self._begun:
            self._taken.clear()
            await self._taken.wait()

    def complain(self, words: str | None, about: str = "server") -> None:
        """The server answers but is not well, until this is called with None."""
        if words != self._complaints.get(about):
            self._complaints |= {about: words or ""}
            self.confirm()

    @property
    def _complaint(self) -> str | None:
        return "; ".join(filter(None, self._complaints.values())) or None

    def find(self, names: Sequence[str], facts: Mapping[int, TagFacts], said: Callable[[], None]) -> None:
        """Tags the table does not have, and what the server says about found ones, by position.

        `said` is called when they were handed on, with or before their first value.
        """
        self._found, self._facts, self._said = names, facts, said
        self.confirm()

    def cycle(self, skipped: int, achieved_ms: int | None, scans: int = 0) -> None:
        """What a polling cycle has to say beside its answers: skipped ones, and those it did."""
        self._skipped += skipped
        self._scans += scans
        if achieved_ms is not None:
            self._achieved_ms = max(achieved_ms, self._achieved_ms or 0)
        self.confirm()

    def fail(self, error: Exception) -> None:
        """The connection is of no more use; the first reason counts."""
        if self.error is None:
            self.error = error
            self._ready.set()

    def __aiter__(self) -> SampleInbox:
        return self

    async def __anext__(self) -> Sample:
        await self._ready.wait()
        since = self._clock.monotonic() - self._yielded
        if 0 <= since < YIELD_EVERY:
            await self._clock.sleep(YIELD_EVERY - since)
        if self._history and (not self._something or self._present):
            return await self._take_history()
        if not self._something and self.error is not None:
            raise self.error
        if self.witness is None:
            return self._take()
        await self.witness.prepare(self._answers)
        sample = self._take()
        self.witness.handed(sample.answers)
        return sample

    async def _take_history(self) -> Sample:
        """In turns with the present, where that never ends."""
        await self._history[0].claim()
        self._present = False
        answer, _, handed = self._history.popleft()
        handed()
        if not self._history and not self._something and self.error is None:
            self._ready.clear()
        return Sample(ts=self._clock.now_ms(), history=[answer], complaint=self._complaint)

    def _take(self) -> Sample:
        self._present = True
        sample = Sample(
            ts=self._clock.now_ms(),
            answers=self._answers,
            skipped=self._skipped,
            scans=self._scans,
            achieved_ms=self._achieved_ms,
            complaint=self._complaint,
            types=self._news(),
            labels=self._labels or None,
            found=self._found,
            facts=self._facts or None,
            losses=[_bounded(loss) for loss in self._losses.values()],
            unconfirmed=self.unconfirmed,
        )
        self._losses, self._labels, self._found, self._facts = {}, {}, (), {}
        if self._said is not None:
            self._said()
            self._said = None
        self._answers, self._values, self._something = [], 0, False
        self._skipped, self._scans, self._achieved_ms = 0, 0, None
        self._yielded = self._clock.monotonic()
        self._room.set()
        self._taken.set()
        self._begun = True
        if self.error is None and not self._history:
            self._ready.clear()
        return sample


def _both(one: Loss, other: Loss) -> Loss:
    tags = None if one.tags is None or other.tags is None else tuple({*one.tags, *other.tags})
    readings = None if one.readings is None or other.readings is None else one.readings + other.readings
    return Loss(min(one.from_ts, other.from_ts), max(one.to_ts, other.to_ts), one.reason, tags, readings)


def _bounded(loss: Loss) -> Loss:
    """A message that names ten thousand tags would break the broker's limit."""
    tags = None if loss.tags is None or len(loss.tags) > MOST_NAMED else tuple(sorted(loss.tags))
    return Loss(loss.from_ts, loss.to_ts, loss.reason, tags, loss.readings)
