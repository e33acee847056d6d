"""What the scans of a device teach: which tags are bad, which block is searched, what is read again; and its log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.reactions import Reaction
from agent.collectors.modbus.learning.knowledge import as_yaml
from agent.collectors.modbus.scan.reading import SetupReading
from agent.collectors.modbus.scan.scan import Findings, Step
from agent.core.flow import Answer
from agent.telemetry.logging import get_logger

log = get_logger("modbus")


class Lessons:
    """Of one set of tags. Of each scan in turn: `begin`, what comes up in it, `heed`, `learn`."""

    def __init__(self, reading: SetupReading) -> None:
        self._setup, self._knowledge, self._blocks = reading.setup, reading.knowledge, reading.blocks
        self._groups = [points for _, points in reading.setup.groups]
        self._began = 0.0
        self._moved = False  #: the search went on in this scan
        self._recovered: list[int] = []  #: quarantined tags read in this scan
        self.read_whole: set[int] = set()  #: groups all of whose blocks were read once
        self.busy: frozenset[tuple[int, Block]] = frozenset()  #: see `scan.Findings`, by what was asked last

    def begin(self, now: float) -> None:
        """Another scan begins."""
        self._began, self._moved, self._recovered = now, False, []

    # --- in a scan ----------------------------------------------------------------------------------------------------

    def refused(self, step: Step, reaction: Reaction, now: float, *, good: bool) -> bool:
        """See `scan.Brain`; `good`: the device has answered another in the same scan."""
        block = step.compiled.block
        position = block.points[0].position
        if position in self._knowledge.quarantine:
            self._knowledge.quarantine.learn({point.position: reaction for point in block.points}, self._began)
            return False
        news = not self._knowledge.search
        if not self._knowledge.refuse(block, reaction, now, good=good):
            return False
        if step.group in self.read_whole:
            self._knowledge.quarantine.lapse(point.position for point in block.points)
        self._moved = True
        if news:
            log.warning("modbus.block_refused", device=self._setup.device, block=str(block), reason=reaction.reason)
        return True

    def could_read(self, block: Block) -> None:
        """A block that was asked beside the regular ones was read."""
        if block.points[0].position in self._knowledge.quarantine:
            self._recovered.extend(point.position for point in block.points)
        else:
            self._knowledge.search.was_read(block)

    def searches(self) -> None:
        """A part of a refused block is asked."""
        self._moved = True

    # --- after it -----------------------------------------------------------------------------------------------------

    def uneventful(self, groups: Iterable[int]) -> bool:
        """Every block of these poll groups was read: whether that is all there is to learn, and it is learned."""
        if self._moved or self._recovered or self.busy or not self._knowledge.uneventful():
            return False
        self.read_whole.update(groups)
        return True

    def heed(self, found: Findings, groups: Sequence[int], fired: Iterable[int], now: float, *, answered: bool) -> None:
        """The blocks of these poll groups and triggers that had no value."""
        knowledge = self._knowledge
        if answered and (found.failed or knowledge.failures):
            asked = [compiled.block for group in groups for compiled in self._blocks.groups[group]]
            asked += [compiled.block for index in fired for compiled in self._blocks.on_edge[index]]
            self._moved |= knowledge.fail(found.failed, asked, now, good=found.good > 0)
        if self.read_whole and found.failed:
            self._lapse({point.position for block, _ in found.failed for point in block.points})
        knowledge.try_again(found.undecided)
        self.busy = found.busy | {one for one in self.busy if one[0] not in groups}

    def _lapse(self, positions: set[int]) -> None:
        """These were refused, or kept silent; those that were read before have only lapsed."""
        read = {point.position for group in self.read_whole for point in self._groups[group]}
        self._knowledge.quarantine.lapse(positions & read)

    def unfinished(self, groups: Iterable[int]) -> set[int]:
        """Those of these groups with tags that are still searched."""
        held = self._knowledge.search.held
        if not held:
            return set()
        return {g for g in groups if any(point.position in held for point in self._groups[g])}

    def learn(self, found: Findings, groups: Iterable[int], now: float) -> bool:
        """The scan is over; whether other blocks are read from now on."""
        if self._moved or self._recovered:
            return self._conclude(now, good=found.good > 0)
        if found.good:
            self._knowledge.device_answers()
            if not found.unread_groups:
                self.read_whole.update(groups)
        return False

    def _conclude(self, now: float, *, good: bool) -> bool:
        news = self._knowledge.learn(self._recovered, now, good=good, moved=self._moved)
        for event, positions in (
            ("modbus.tags_quarantined", news.quarantined),
            ("modbus.tags_recovered", news.recovered),
        ):
            if positions:
                names = [self._setup.names[position] for position in positions]
                say = log.warning if positions is news.quarantined else log.info
                say(event, device=self._setup.device, count=len(names), tags=names[:20])
        if news.replan:
            self._blocks.replan()
        if news.settled and (learned := self._knowledge.learned()):
            log.info("modbus.learned", device=self._setup.device, yaml=as_yaml(learned))
        return news.replan

    def known_bad(self, groups: Iterable[int], fired: Iterable[int], said: AbstractSet[int], ts: int) -> list[Answer]:
        """Answers for the tags of the groups just read that are in no block, and were not asked for otherwise."""
        if not self._knowledge.anything_bad:
            return []
        bad: dict[Reaction, list[int]] = {}
        points = [point for group in groups for point in self._groups[group]]
        points += [point for index in sorted(fired) for point in self._setup.triggers[index].points]
        for point in points:
            position = point.position
            if position < self._setup.tags and position not in said:
                reaction = self._knowledge.bad(position)
                if reaction is not None:
                    bad.setdefault(reaction, []).append(position)
        return [
            Answer(tuple(tags), (None,) * len(tags), ts, reaction.status, reason=reaction.reason)
            for reaction, tags in bad.items()
        ]
