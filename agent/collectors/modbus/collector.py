"""Reads one Modbus unit: blocks of the poll groups due at each tick, over a line it may share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.collectors.modbus.line import ModbusLine
from agent.collectors.modbus.plan import Limits, block_of, cut, plan
from agent.collectors.modbus.points import Point
from agent.collectors.modbus.quarantine import PROBE_SECONDS, Quarantine
from agent.collectors.modbus.reactions import reaction_to
from agent.collectors.modbus.scan import Compiled, Scan, Step
from agent.collectors.modbus.transaction import NoAnswer
from agent.collectors.polling import Due, Schedule, next_tick, phase_of
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer, Sample
from agent.core.ports import Site
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import SCAN_SECONDS

log = get_logger("modbus")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a collector has to know, compiled from the configuration."""

    device: str
    unit: int
    timeout: float
    names: tuple[str, ...]  #: of all tags, by position
    groups: tuple[tuple[float | None, tuple[Point, ...]], ...]  #: interval (None: once) and points
    limits: Limits
    idle: float = 1.0  #: how often a device with nothing to poll is looked at


class ModbusCollector:
    """Implements `core.ports.Collector`."""

    def __init__(self, setup: Setup, line: ModbusLine, site: Site) -> None:
        self._setup = setup
        self._line = line
        self._site = site
        self._silent = False  #: the last connection ended in silence
        self._probes = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sample]]:
        with self._line.used():
            await self._line.ready()
            if self._silent:
                await self._probe()
            samples = _Samples(self._setup, self._line, self._site)
            try:
                yield samples
            finally:
                self._silent = samples.silent
                if self._silent:
                    log.warning(
                        "modbus.unit_silent", device=self._setup.device, line=self._line.name, unit=self._setup.unit
                    )
                samples.close()

    async def _probe(self) -> None:
        """One request to a unit that kept silent, so that its neighbours lose no more than one time-out.

        Another block each time: one that alone is silent must not keep the unit offline.
        """
        setup = self._setup
        points = [point for _, group in setup.groups for point in group]
        if not points:
            return
        blocks = plan(points, setup.limits)
        block = blocks[self._probes % len(blocks)]
        self._probes += 1
        reply = await self._line.ask(setup.unit, Compiled.of(block, setup.timeout).request)
        if reply.code and reaction_to(reply.code).kind == "silent":
            raise NoAnswer(reaction_to(reply.code).reason)


class _Samples:
    """The scans of one connection."""

    def __init__(self, setup: Setup, line: ModbusLine, site: Site) -> None:
        self._setup = setup
        self._line = line
        self._site = site
        self._clock = site.clock
        self._quarantine = Quarantine()
        self._cuts: set[int] = set()  #: tags that blocks are cut before, learned on this connection
        self._compiled: dict[object, Compiled] = {}
        self._blocks: list[list[Compiled]] = []
        self._bisect_again = 0.0
        self._scan: Scan | None = None
        self._due = Due((), 0.0)
        self._probing: set[int] = set()  #: quarantined tags asked for in this scan
        self.silent = False  #: the unit did not answer any more
        self._began = 0.0
        intervals = [interval for interval, _ in setup.groups]
        start = self._clock.monotonic() + phase_of(setup.device, intervals)
        self._schedule = Schedule(intervals, start=start, idle=setup.idle)
        self._seconds = SCAN_SECONDS.labels(setup.device)
        self._replan()

    def __aiter__(self) -> AsyncIterator[Sample]:
        return self

    async def __anext__(self) -> Sample:
        while True:
            if self._scan is None:
                self._due = await next_tick(self._schedule, self._clock)
                if not self._due.groups:
                    self._look()
                    continue
                self._began = self._clock.monotonic()
                self._line.cycle(self, begins=True)
                self._scan = self._start(self._due)
            try:
                answers = await self._scan.next()
            except NoAnswer:
                self.silent = True
                raise
            if self._scan.over:
                answers += self._finish(self._scan)
                self._scan = None
                self._line.cycle(self, begins=False)
            if answers:
                return self._sample(answers)

    def close(self) -> None:
        """Abandon what is on its way, and forget."""
        if self._scan is not None:
            self._scan.close()
        self._line.cycle(self, begins=False)
        self._site.note(self._setup.device, "modbus", None)

    def _look(self) -> None:
        """Nothing is polled; a lost connection is to be seen all the same."""
        if not self._line.connected:
            raise ConnectionLost("the connection is lost")

    def _sample(self, answers: list[Answer]) -> Sample:
        skipped, achieved = self._due.skipped, self._due.achieved_ms
        self._due = Due(self._due.groups, self._due.at)
        return Sample(ts=self._clock.now_ms(), answers=answers, skipped=skipped, achieved_ms=achieved)

    # --- a scan -------------------------------------------------------------------------------------------------------

    def _start(self, due: Due) -> Scan:
        steps = [Step(compiled, group) for group in due.groups for compiled in self._blocks[group]]
        if self._quarantine.refused:
            steps += self._probes(due)
        if not steps:
            self._look()
        return Scan(
            self._line, self._setup.unit, self._clock, steps,
            device=self._setup.device, bisect=self._began >= self._bisect_again,
        )  # fmt: skip

    def _probes(self, due: Due) -> list[Step]:
        group_of = {point.position: group for group in due.groups for point in self._setup.groups[group][1]}
        positions = self._quarantine.due(group_of, self._began)
        self._quarantine.postpone(positions, self._began)
        self._probing = set(positions)
        points = {point.position: point for group in due.groups for point in self._setup.groups[group][1]}
        return [Step(self._compile(points[position]), group_of[position], probe=True) for position in positions]

    def _finish(self, scan: Scan) -> list[Answer]:
        """Learn from a finished scan; answers for the tags that were not asked for because they are known to be bad."""
        found = scan.findings
        now = self._clock.monotonic()
        self._seconds.observe(now - self._began)
        self._schedule.again(found.unread_groups)
        held = self._held()
        if found.first_refusal is not None:
            block, reason = found.first_refusal
            log.warning("modbus.block_refused", device=self._setup.device, block=block, reason=reason)
        if found.good:
            self._bisect_again = 0.0
            if found.refused or found.probed or found.splits:
                self._learn(scan, now)
        elif found.refused and found.first_refusal is not None:
            # It refuses everything: it is booting, say. Nothing is learned, and nothing is split for a while.
            self._bisect_again = now + PROBE_SECONDS
        return held

    def _learn(self, scan: Scan, now: float) -> None:
        cuts = scan.findings.cuts - self._cuts
        self._cuts |= cuts
        news = self._quarantine.learn(scan.findings.refused, now)
        freed = self._quarantine.release(scan.findings.probed)
        for event, positions in (("modbus.tags_quarantined", news), ("modbus.tags_recovered", freed)):
            if positions:
                names = [self._setup.names[position] for position in positions]
                say = log.warning if positions is news else log.info
                say(event, device=self._setup.device, count=len(names), tags=names[:20])
        if news or freed or cuts:
            self._replan()

    def _held(self) -> list[Answer]:
        """One answer for each quarantined tag of the groups just read that was not probed in this scan."""
        if not self._quarantine.refused:
            return []
        ts, probed = self._clock.now_ms(), self._probing
        points = (point for group in self._due.groups for point in self._setup.groups[group][1])
        return [
            Answer(self._compile(point).tags, (None,), ts, reaction.status, reason=reaction.reason)
            for point in points
            if point.position not in probed and (reaction := self._quarantine.refused.get(point.position)) is not None
        ]

    # --- the plan -----------------------------------------------------------------------------------------------------

    def _compile(self, *points: Point) -> Compiled:
        block = block_of(points)
        if block not in self._compiled:
            self._compiled[block] = Compiled.of(block, self._setup.timeout)
        return self._compiled[block]

    def _replan(self) -> None:
        """Blocks without the quarantined tags. Those that stay keep their compiled form, and so their tuple of tags."""
        self._blocks = [self._planned(points) for _, points in self._setup.groups]
        in_use = {compiled.block for group in self._blocks for compiled in group}
        single = {compiled.block for compiled in self._compiled.values() if compiled.tags[0] in self._quarantine}
        self._compiled = {block: compiled for block, compiled in self._compiled.items() if block in in_use | single}
        self._note()

    def _planned(self, points: tuple[Point, ...]) -> list[Compiled]:
        asked = [point for point in points if point.position not in self._quarantine]
        blocks = plan(asked, self._setup.limits)
        return [self._compile(*part.points) for block in blocks for part in cut(block, self._cuts)]

    def _note(self) -> None:
        names = self._setup.names
        self._site.note(
            self._setup.device,
            "modbus",
            {
                "line": self._line.name,
                "unit": self._setup.unit,
                "blocks": [str(compiled.block) for group in self._blocks for compiled in group],
                "quarantined": {names[p]: reaction.reason for p, reaction in self._quarantine.refused.items()},
            },
        )
