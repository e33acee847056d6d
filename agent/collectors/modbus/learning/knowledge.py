"""What a device has shown of itself on this connection, and the blocks that follow from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from agent.collectors.modbus.blocks.items import items_of
from agent.collectors.modbus.blocks.plan import AddressRange, Block, BlockLimits, block_of, plan
from agent.collectors.modbus.blocks.reactions import Reaction
from agent.collectors.modbus.learning.quarantine import Quarantine
from agent.collectors.modbus.learning.search import Search
from agent.collectors.modbus.tags.address import Area
from agent.collectors.modbus.tags.points import ModbusPoint
from agent.core.quality import BAD_CONFIGURATION_ERROR

HOLD_OFF_SECONDS = 60.0
"""A device that refused everything is not searched again for so long; its regular blocks are asked all the same."""
_FAILURES = 3  #: scans in a row in which a block had no value; then it is searched


class News(NamedTuple):
    """What a scan has taught."""

    quarantined: Sequence[int] = ()  #: positions
    recovered: Sequence[int] = ()
    settled: bool = False  #: a search is over
    replan: bool = False


class Knowledge:
    """Tags in quarantine, the search that is on, and limits beyond the configured ones."""

    def __init__(self, limits: BlockLimits, points: Sequence[ModbusPoint], unread: Mapping[int, str]) -> None:
        self.quarantine = Quarantine()
        self.search = Search()
        self._configured = limits
        self._limits = limits
        self._all = points
        self._unread = {
            position: Reaction(BAD_CONFIGURATION_ERROR, f"lies in never_read ({span})", "unsupported")
            for position, span in unread.items()
        }
        self._failures: dict[Block, int] = {}
        self._holes: set[AddressRange] = set()
        self._not_before = 0.0  #: no search before

    def carry(self, before: Knowledge, moved: Mapping[int, int]) -> bool:
        """The same device with other tags: what was learned of those that stay (position before → now), and of it.

        Whether there is anything that the plan has to heed.
        """
        self.quarantine.carry(before.quarantine, moved)
        learned = {moved[cut] for cut in before._limits.cuts - before._configured.cuts if cut in moved}
        if learned or before._limits is not before._configured:
            self._limits = self._configured._replace(
                cuts=self._configured.cuts | learned,
                max_registers=before._limits.max_registers,
                max_bits=before._limits.max_bits,
            )
        self._holes = set(before._holes)
        self._not_before = before._not_before
        return bool(self.quarantine.refused) or self._limits is not self._configured

    @cached_property
    def _points(self) -> dict[int, ModbusPoint]:
        """All of them, by position. Most devices never need that."""
        return {point.position: point for point in self._all}

    # --- what is asked ------------------------------------------------------------------------------------------------

    def bad(self, position: int) -> Reaction | None:
        """Why a tag is in no block; None where it is in one."""
        return self._unread.get(position) or self.quarantine.refused.get(position) or self.search.held.get(position)

    @property
    def anything_bad(self) -> bool:
        """Whether any tag is in no block."""
        return bool(self._unread or self.quarantine.refused or self.search.held)

    def blocks(self, points: Iterable[ModbusPoint], *, join: bool = False) -> list[Block]:
        """The blocks these are read with; those that are known to be bad are left out."""
        if self.anything_bad:
            points = [point for point in points if self.bad(point.position) is None]
        return plan(points, self._effective, join=join)

    def probes(self, points: Iterable[ModbusPoint], now: float) -> list[Block]:
        """Which of these are in quarantine and due to be asked again, each item alone; lapsed ones together, too."""
        held = {point.position: point for point in points if point.position in self.quarantine.refused}
        due = self.quarantine.due(held, now)
        items = items_of(held.values())
        homes = {point.position: item for item in items for point in item.points}
        lapsed, alone = self.quarantine.together(held, due)
        apart = [position for position in due if position not in lapsed] + ([] if alone is None else [alone])
        single = [block_of(item.points, self._configured) for item in dict.fromkeys(homes[p] for p in apart)]
        returning = dict.fromkeys(homes[position] for position in lapsed)
        whole = plan([point for item in returning for point in item.points], self._limits)
        return [block for block in whole if block not in single] + single

    @property
    def _effective(self) -> BlockLimits:
        bad = [*self.quarantine.refused, *self.search.held]
        if not bad and not self.search.cuts and self._limits is self._configured:
            return self._configured
        avoid = [
            AddressRange(p.area, p.offset, p.end) for position in bad if (p := self._points.get(position)) is not None
        ]
        cuts = self._limits.cuts | self.search.cuts
        return self._limits._replace(avoid=(*self._limits.avoid, *avoid), cuts=cuts)

    # --- what a scan finds --------------------------------------------------------------------------------------------

    def refuse(self, block: Block, reaction: Reaction, now: float, *, good: bool) -> bool:
        """A block was refused. True: it is searched; False: nothing is to be learned from that.

        `good`: the device has answered another in the same scan.
        """
        if now < self._not_before and not self.search:
            return False
        if good:
            self.search.device_answers()
        self.search.refused(block, reaction, self._effective)
        return True

    def uneventful(self) -> bool:
        """All that was asked was read. Whether that teaches nothing: every tag is in a block, and none is watched."""
        if self._unread or self.quarantine.refused or self.search.held or self._failures:
            return False
        self._not_before = 0.0
        return True

    def device_answers(self) -> None:
        """Something could be read."""
        self._not_before = 0.0
        if self.search:
            self.search.device_answers()

    def try_again(self, blocks: Iterable[Block]) -> None:
        """These halves could not be judged: the device was busy, say."""
        self.search.todo.extend(block for block in blocks if block.points[0].position in self.search.held)

    @property
    def failures(self) -> bool:
        """Whether blocks are watched because they had no value."""
        return bool(self._failures)

    def doubt(self, block: Block, answers: Block | None) -> int:
        """How bad it is to ask for a block first: two silences at its start end a scan."""
        if block in self._failures:
            return 2
        return 0 if answers is not None and answers.points[0] in block.points else 1

    def fail(self, failed: Sequence[tuple[Block, Reaction]], asked: Iterable[Block], now: float, *, good: bool) -> bool:
        """Of the blocks asked these had no value: they kept silent while others answered, or the device says that it
        fails or does not know the function, as many do at one bad register or at too many. Whether one is searched
        from now on; a value that fails alone is asked again.

        `good`: another was read.
        """
        counts = {block: self._failures.get(block, 0) + 1 for block, _ in failed}
        again = [
            (block, reaction)
            for block, reaction in failed
            if counts[block] >= _FAILURES and (reaction.kind != "bad" or len(items_of(block.points)) > 1)
        ]
        for block in asked:
            self._failures.pop(block, None)
        self._failures |= {block: count for block, count in counts.items() if count < _FAILURES}
        searched = [self.refuse(b, why, now, good=good or why.kind == "silent") for b, why in again]
        return any(searched)

    def learn(self, probed: Iterable[int], now: float, *, good: bool, moved: bool) -> News:
        """A scan is over. `probed`: tags read again; `good`: anything was read."""
        search = self.search
        if good:
            self.device_answers()
        elif search.hopeless:
            self._not_before = now + HOLD_OFF_SECONDS
            self.search = Search()
            return News(replan=True)
        verdicts = search.verdicts()
        news = self.quarantine.learn(verdicts, now)
        freed = self.quarantine.release(probed, now)
        lesson = search.lesson() if moved or verdicts else None
        if lesson is not None:
            self._holes |= self._between(lesson.cuts)
            self._limits = self._limits._replace(
                cuts=self._limits.cuts | lesson.cuts,
                max_registers=lesson.max_registers or self._limits.max_registers,
                max_bits=lesson.max_bits or self._limits.max_bits,
            )
            self.search = Search()
        return News(news, freed, lesson is not None, bool(news or freed or moved or lesson))

    def _between(self, cuts: Iterable[int]) -> set[AddressRange]:
        """The holes before these tags, where they are the cause of the cut."""
        holes: set[AddressRange] = set()
        for position in cuts:
            point = self._points[position]
            ends = [p.end for p in self._points.values() if p.area == point.area and p.offset < point.offset]
            if ends and max(ends) < point.offset:
                holes.add(AddressRange(point.area, max(ends), point.offset))
        return holes

    # --- for people ---------------------------------------------------------------------------------------------------

    def learned(self) -> dict[str, object]:
        """What may be put into the configuration, so that it need not be found out again."""
        refused = self.quarantine.refused
        bad = [self._points[p] for p in self.quarantine.for_good() if refused[p].kind != "unsupported"]
        offsets = {(p.area, offset) for p in bad for offset in range(p.offset, p.end)}
        if offsets:
            good = (p for p in self._points.values() if self.bad(p.position) is None)
            offsets.difference_update((p.area, offset) for p in good for offset in range(p.offset, p.end))
        offsets |= {(hole.area, offset) for hole in self._holes for offset in range(hole.first, hole.end)}
        found: dict[str, object] = {}
        if offsets:
            found["never_read"] = [str(span) for span in _spans(sorted(offsets))]
        for key in ("max_registers", "max_bits"):
            if getattr(self._limits, key) != getattr(self._configured, key):
                found[key] = getattr(self._limits, key)
        return found


def _spans(offsets: Sequence[tuple[Area, int]]) -> list[AddressRange]:
    spans: list[AddressRange] = []
    for area, offset in offsets:
        if spans and spans[-1].area == area and spans[-1].end == offset:
            spans[-1] = spans[-1]._replace(end=offset + 1)
        else:
            spans.append(AddressRange(area, offset, offset + 1))
    return spans


def as_yaml(learned: Mapping[str, object]) -> str:
    """One line a key, to be pasted under the device."""
    lines = []
    for key, value in learned.items():
        text = "[" + ", ".join(f'"{one}"' for one in value) + "]" if isinstance(value, list) else str(value)
        lines.append(f"{key}: {text}")
    return "\n".join(lines)
