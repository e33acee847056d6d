"""Silence that is not health: what has not been heard of is read, and held against what was said last.

Servers forget monitored items, stop sampling them, or leave a status that is long over, and keep-alives go on. A few
hundred tags in each round (`audit` of the pace) are read, spread over it, the longest silent first; a tag that is to be
said again (`max_silence`) as often as that promise takes. What differs, and still does when a notification should have
come, is monitored anew and declared lost; what does so again and again is polled. What is unconfirmed is not asserted.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.plan import ConnectionPlan, TagPoint, names_of
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.tags.homes import Homes
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.reader import ChunkReader
from agent.core.clock import Clock
from agent.core.flow import Answer, Loss
from agent.core.quality import number_of
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

PER_ROUND = 300  #: tags read in one round, whatever the number of tags
_TICKS = 10  #: into which a round is spread
_MOST_RECENT = 100  #: answers
_LOOKED_AT = 20_000  #: tags in a second
_PATIENCE = 1.0  #: seconds beyond sampling and publishing until a difference counts
_MUTE_FOR = 10  #: audits until what could not be read is read again
_OFTEN = 2  #: times a tag was monitored anew on one connection until it is polled
_BAD = 0x80000000
_TELLS_NOTHING = {
    number_of(name) for name in ("BadNotReadable", "BadUserAccessDenied", "BadServiceUnsupported", "BadDecodingError")
}  #: answers of a Read that say nothing about the value


class _Doubt(NamedTuple):
    """A tag whose Read differed from what was said."""

    since: float  #: when it was read
    due: float  #: from when on a second Read decides


class Confirming:
    """Of one connection. `settle` finds a new place for tags whose item was given up."""

    def __init__(
        self, plan: ConnectionPlan, reader: ChunkReader, items: Monitoring, homes: Homes, inbox: SampleInbox,
        clock: Clock, settle: Callable[[Sequence[TagPoint]], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._plan, self._reader, self._items, self._homes = plan, reader, items, homes
        self._inbox, self._clock, self._settle = inbox, clock, settle
        self._silences: Mapping[int, float] = plan.silences
        shortest = min(self._silences.values(), default=math.inf)
        self._tick = max(min(plan.pace.audit / _TICKS, shortest / 8), 0.02, len(plan.points) / _LOOKED_AT)
        self._recent: dict[int, tuple[Answer, float]] = {}  # what came lately, and when; not looked into yet
        self._values: dict[int, object] = {}  # said last, by position
        self._codes: dict[int, int] = {}  # their status where it is not plain good
        self._heard: dict[int, float] = {}  # when
        self._read: dict[int, float] = {}  # when a Read confirmed it
        self._born: dict[int, float] = {}  # when an item that has said nothing yet was seen first
        self._doubts: dict[int, _Doubt] = {}
        self._renewed: dict[int, int] = {}  # how often it was monitored anew
        self._mute: dict[int, float] = {}  # what cannot be read: until when it is left alone

    def follow(self, plan: ConnectionPlan) -> None:
        """The tags of this connection are others now; those that stay keep their positions."""
        self._plan, self._silences = plan, plan.silences

    def note(self, answer: Answer) -> None:
        """A subscription brought these. Looked into when something is to be read: most tags are heard of anyway."""
        key = id(answer.tags)  # that tuple comes again and again, and lives as long as the answer
        self._recent.pop(key, None)
        self._recent[key] = answer, self._clock.monotonic()
        if len(self._recent) > _MOST_RECENT:
            self._take_note()

    def _take_note(self) -> None:
        """The newest of each tag: in the order in which they came."""
        for answer, when in self._recent.values():
            tags = answer.tags
            self._values.update(zip(tags, answer.values, strict=True))
            self._heard.update(dict.fromkeys(tags, when))
            if answer.status:
                codes = answer.status if isinstance(answer.status, Sequence) else [answer.status] * len(tags)
                self._codes.update(zip(tags, codes, strict=True))
            elif self._codes:
                for position in tags:
                    self._codes.pop(position, None)
        self._recent.clear()

    async def run(self) -> None:
        """For ever; raises what ends the connection."""
        while True:
            await self._clock.sleep(self._tick)
            await self.look()

    async def look(self) -> None:
        """Read what is due, and see what follows from it."""
        now = self._clock.monotonic()
        self._take_note()
        monitored = {at: node for one in self._homes.subscriptions for at, node in one.nodes.items()}
        due = self._due(monitored, now)
        lost: list[int] = []
        if due:
            layout = self._reader.layout([monitored[at] for at in due])
            await self._reader.read(layout, lambda answer: lost.extend(self._judge(answer, monitored)))
        if lost:
            await self._renew(lost)
        self._tell_unconfirmed(monitored)
        if any(position in self._silences for position in due):
            self._inbox.confirm()

    # --- what is due --------------------------------------------------------------------------------------------------

    def _confirmed(self, position: int, now: float) -> float:
        """When it was known to be so, monotonic seconds."""
        heard = self._heard.get(position)
        if heard is None:
            heard = self._born.setdefault(position, now)
        return max(heard, self._read.get(position, heard))

    def _due(self, monitored: Mapping[int, ResolvedNode], now: float) -> list[int]:
        doubted = [at for at, doubt in self._doubts.items() if at in monitored and now >= doubt.due]
        promised: list[int] = []
        silent: list[tuple[bool, bool, float, int]] = []
        for position, node in monitored.items():
            if position in self._doubts or now < self._mute.get(position, now):
                continue
            age = now - self._confirmed(position, now)
            silence = self._silences.get(position)
            if silence is not None and age >= silence / 2 - self._tick:
                promised.append(position)
            else:
                bad = self._codes.get(position, 0) >= _BAD
                patience = 0.0 if bad else 2 * self._sampling(node.point)
                if age >= self._plan.pace.audit + patience:
                    silent.append((position in self._mute, not bad, -age, position))
        share = math.ceil(PER_ROUND * self._tick / self._plan.pace.audit)
        return [*doubted, *promised, *(position for *_, position in sorted(silent)[:share])]

    def _tell_unconfirmed(self, monitored: Mapping[int, ResolvedNode]) -> None:
        """What must not be repeated now. `max_silence` asserts a value: only where it was confirmed lately."""
        now = self._clock.monotonic()
        self._take_note()
        self._inbox.unconfirmed = frozenset(
            position
            for position, silence in self._silences.items()
            if position in monitored
            and not (position in self._mute and self._codes.get(position, 0) >= _BAD)  # it asserts no value
            and (position in self._doubts or now - self._confirmed(position, now) > silence / 2 + 2 * self._tick)
        )

    # --- what was read ------------------------------------------------------------------------------------------------

    def _judge(self, answer: Answer, monitored: Mapping[int, ResolvedNode]) -> list[int]:
        """Those of which the subscription does not tell the truth."""
        lost: list[int] = []
        now = self._clock.monotonic()
        self._take_note()
        for at, position in enumerate(answer.tags):
            code = answer.status if isinstance(answer.status, int) else answer.status[at]
            if code in _TELLS_NOTHING:
                self._mute[position] = now + _MUTE_FOR * self._plan.pace.audit
                self._doubts.pop(position, None)
                continue
            self._mute.pop(position, None)
            if self._same(monitored[position].point, answer.values[at], code):
                self._read[position] = now
                self._doubts.pop(position, None)
            elif self._codes.get(position, 0) >= _BAD:  # nobody took it for known: one look is enough
                lost.append(position)
            elif (doubt := self._doubts.get(position)) is None:
                self._doubts[position] = _Doubt(now, now + self._grace(monitored[position].point))
            elif now >= doubt.due:
                del self._doubts[position]
                if self._heard.get(position, -math.inf) <= doubt.since:
                    lost.append(position)
        return lost

    def _grace(self, point: TagPoint) -> float:
        """Until a notification of what was read must have come."""
        publishing = max((one.server.interval_ms for one in self._homes.subscriptions), default=0.0)
        return self._sampling(point) + 2 * publishing / 1000 + min(_PATIENCE, self._plan.pace.audit / _TICKS)

    def _sampling(self, point: TagPoint) -> float:
        """How often the server looks at the value, as it revised that, seconds."""
        revised = self._items.revised.get(point.position)
        return max(point.sampling_ms, 0.0 if revised is None else revised[1]) / 1000

    def _same(self, point: TagPoint, value: object, code: int) -> bool:
        """Whether the server would have had nothing to report."""
        if point.position not in self._heard:
            return False
        known, before = self._values.get(point.position), self._codes.get(point.position, 0)
        if code >> 30 != before >> 30:
            return False
        wanted = point.filter
        if code >= _BAD or (wanted is not None and wanted.trigger == 0):
            return True
        if wanted is not None and wanted.kind and isinstance(value, int | float) and isinstance(known, int | float):
            return wanted.kind == 2 or abs(value - known) <= wanted.deadband  # percent: of a range nobody told us
        return value == known or repr(value) == repr(known)  # NaN is the same as NaN

    async def _renew(self, positions: Sequence[int]) -> None:
        """These items are no use: declared, and monitored anew, or polled where that was no use either."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        points: list[TagPoint] = []
        unknown: list[int] = []
        since = now
        async with self._items.busy:
            for one in self._homes.subscriptions:
                mine = [position for position in positions if position in one.items]
                for position in mine:
                    self._renewed[position] = self._renewed.get(position, 0) + 1
                    if self._renewed[position] > _OFTEN:
                        self._homes.poll(position, one.nodes[position])
                    if self._codes.get(position, 0) < _BAD and position in self._heard:
                        unknown.append(position)  # a tag that was said to be bad has lost nothing
                        since = min(since, self._confirmed(position, now))
                if mine:
                    points += await self._items.drop(one, mine)
        if not points:
            return
        if unknown:
            begun = now_ms - round((now - since) * 1000)
            self._inbox.lose(Loss(begun, now_ms, "the server had stopped reporting changes", tuple(sorted(unknown))))
        log.warning("opcua.items_silent", device=self._plan.device, count=len(points), tags=names_of(points))
        for position in positions:
            self._heard.pop(position, None)
            self._born[position] = self._clock.monotonic()
        await self._settle([point for point in points if self._renewed[point.position] <= _OFTEN])
