"""The scans of one connection: when each begins, and what it asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from agent.collectors.common.polling import MOST_SLOTS, Due, Schedule, first_tick, slots_for
from agent.collectors.common.sampling import Sampling
from agent.collectors.modbus.blocks.codec import DecodedColumn
from agent.collectors.modbus.blocks.compiled import Compiled
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.reactions import Reaction
from agent.collectors.modbus.blocks.setup import Setup
from agent.collectors.modbus.blocks.values import Doubt
from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import NoAnswer
from agent.collectors.modbus.scan.lessons import Lessons
from agent.collectors.modbus.scan.reading import SetupReading, Succession
from agent.collectors.modbus.scan.scan import Step, TickScan
from agent.core.clock import Timer
from agent.core.errors import ConnectionLost
from agent.core.flow import Answer, Sample
from agent.core.ports import BuildContext
from agent.telemetry.metrics import REQUESTS, SCAN_PERIOD, SCAN_SECONDS

#: Tags that come are read at once where their interval is longer, seconds; else their next tick is soon enough.
_SOON = 1.0


class Samples(Sampling):
    """The samples of one connection. Implements `scan.Brain`.

    `answers`: a block the unit is known to answer, where it kept silent before; it is asked first, also where it is a
    part of a block that alone keeps silent: until that is read, or searched.
    """

    def __init__(self, setup: Setup, bus: ModbusBus, context: BuildContext, answers: Block | None = None) -> None:
        self._bus = bus
        self._context = context
        self._answers = answers
        self._clock = context.clock
        self._take(SetupReading.of(setup))
        self._scan: TickScan | None = None
        self._due = Due((), 0.0)
        self._fired: set[int] = set()  #: triggers whose points are read in this scan
        self._probes: list[Block] = []
        self._steps: list[list[Step]] = []  #: of each poll group
        self._read: dict[tuple[int, str], Compiled] = {}  #: what was read last, of each poll group and area
        self.silent = False  #: the unit did not answer any more
        self._heard = False  #: something of this connection was handed on
        self._began = 0.0
        self._last_began: float | None = None
        self._fresh: list[Compiled] = []  #: to be read beside the grid, once: tags that have just come
        now = self._clock.monotonic()
        self._allowance = bus.searching
        self._done = 0  # cycles, since the last sample
        self._timer: Timer | None = None  #: of the next tick
        self._schedule = self._begin(now)
        self._requests = REQUESTS.labels(setup.device)
        self._seconds = SCAN_SECONDS.labels(setup.device)
        self._period = SCAN_PERIOD.labels(setup.device)
        self._planned()

    def _take(self, reading: SetupReading) -> None:
        setup = self._setup = reading.setup
        self._knowledge, self._blocks, self._triggers = reading.knowledge, reading.blocks, reading.triggers
        self._lessons = Lessons(reading)
        self._measures = bool(setup.groups) and setup.groups[0][0] is not None
        self._polled = [point for _, points in setup.groups for point in points]
        self._trigger_of = {p.position: i for i, trigger in enumerate(setup.triggers) for p in trigger.points}

    def retag(self, succession: Succession) -> bool:
        """Read other tags from the next scan on; False while one is under way. What stays is read when it was due."""
        if self._scan is not None or self._triggers.next is not None or self._fresh:
            return False
        reading, moved = succession
        old, setup, lessons = self._setup, reading.setup, self._lessons
        reading.triggers.carry(self._triggers, moved)
        if reading.knowledge.carry(self._knowledge, moved):
            reading.blocks.replan()
        self._take(reading)
        now = self._clock.monotonic()
        before, self._schedule = self._schedule, self._begin(now)
        were = {interval: group for group, (interval, _) in enumerate(old.groups)}
        groups = {mine: were[interval] for mine, (interval, _) in enumerate(setup.groups) if interval in were}
        self._schedule.succeed(before, groups, now)
        self._lessons.read_whole = {mine for mine, its in groups.items() if its in lessons.read_whole}
        stay = set(moved.values())
        come = [
            point
            for interval, points in setup.groups
            if interval is None or interval > _SOON
            for point in points
            if point.position not in stay
        ]
        self._fresh = [self._blocks.compile(block) for block in self._knowledge.blocks(come, join=True)]
        self._due = Due((), 0.0)
        self._answers = None
        self._read = {}
        self._planned()
        return True

    def next_sample(self) -> Sample | None:
        """See `Sampling`."""
        while True:
            scan = self._scan
            if scan is None and (scan := self._next_scan()) is None:
                return None
            self._scan = scan
            try:
                answers = scan.next()
            except NoAnswer:
                self.silent = True
                raise
            if answers is None:
                return None
            if scan.over:
                answers += self._finish(scan)
                self._done += self._due.scans
                self._scan = None
                self._bus.cycle(self, begins=False)
            if answers:
                if not self._heard:
                    self._heard = True
                    self._schedule.begin(self._clock.monotonic())
                return self._sample(answers)

    @property
    def read(self) -> frozenset[int]:
        """Tags of blocks that were read when they were last asked for."""
        return frozenset(point.position for one in self._read.values() for point in one.block.points)

    def close(self) -> None:
        """Abandon what is on its way, and forget."""
        self.nobody_waits()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._scan is not None:
            self._scan.close()
        self._bus.cycle(self, begins=False)
        self._context.note(self._setup.device, "modbus", None)

    def _planned(self) -> None:
        """Other blocks are read from now on."""
        self._steps = [[Step(one, group) for one in blocks] for group, blocks in enumerate(self._blocks.groups)]
        self._context.note(self._setup.device, "modbus", self._blocks.note(self._bus.name))

    def _look(self) -> None:
        """Nothing is polled; a lost connection is to be seen all the same."""
        if not self._bus.connected:
            raise ConnectionLost("the connection is lost")

    def _sample(self, answers: list[Answer]) -> Sample:
        due, blame = self._due, None
        scans, self._done = self._done, 0
        if due.skipped:
            blame = self._bus.culprits.of(self._setup.unit, self._clock.monotonic())
            self._due = replace(due, skipped=0)
        return Sample(
            ts=self._clock.now_ms(), answers=answers, skipped=due.skipped, scans=scans, achieved_ms=due.achieved_ms,
            met=due.met, complaint=self._bus.shared, blame=blame,
        )  # fmt: skip

    def _begin(self, now: float) -> Schedule:
        """Devices of one bus are asked one after the other: they share no slot because there are many of them."""
        setup = self._setup
        intervals = [interval for interval, _ in setup.groups]
        slots = slots_for(self._context.devices, setup.tags) if self._bus.alone else MOST_SLOTS
        return Schedule(intervals, start=first_tick(setup.device, intervals, now, slots), idle=setup.idle)

    # --- when ---------------------------------------------------------------------------------------------------------

    def _next_scan(self) -> TickScan | None:
        """Of the tick that is due, or of triggered reads whose settle time is over; None: it waits for one."""
        while True:
            now = self._clock.monotonic()
            waits = self._triggers.next
            settled = () if waits is None else self._triggers.due(now)
            due = self._schedule.due(now)
            if settled or self._fresh or (due is not None and due.groups):
                return self._start(due or Due((), now), settled, now)
            if due is not None:
                self._look()
                continue
            until = self._schedule.next
            if waits is not None and (waits := self._triggers.next) is not None:
                until = min(waits, until)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_at(until, self._waited)
            return None

    def _waited(self) -> None:
        self._timer = None
        self.go_on()

    def _start(self, due: Due, settled: Sequence[int], now: float) -> TickScan:
        self._due, self._began = due, now
        self._lessons.begin(now)
        if settled or self._fired:
            self._fired = set(settled)
        self._bus.cycle(self, begins=True)
        regular = steps = self._regular(due.groups)
        if settled or self._fresh:
            steps = [step for index in settled for step in self._read_on_edge(index)]
            steps += [Step(compiled) for compiled in self._fresh]
            steps += regular
            self._fresh = []
        self._probes.clear()
        if due.groups:
            if self._measures and due.groups[0] == 0:
                self._measure(now)
            if self._knowledge.quarantine.refused:
                self._probes = self._knowledge.probes(self._polled, now)[::-1]
        if not steps:
            self._look()
        until = self._schedule.next
        return TickScan(
            self._bus, self._setup, self._clock, steps, self, self._requests, until=until, lenient=not regular
        )

    def _regular(self, groups: tuple[int, ...]) -> list[Step]:
        """The blocks of these poll groups, in the order in which they are asked."""
        if len(groups) == 1:
            steps = self._steps[groups[0]]
        else:
            steps = [step for group in groups for step in self._steps[group]]
        if self._answers is None and not self._knowledge.failures:
            return steps
        steps = sorted(steps, key=lambda step: self._knowledge.doubt(step.compiled.block, self._answers))
        if (part := self._part(groups)) is not None:
            steps.insert(0, Step(self._blocks.compile(part), mute=True))
        return steps

    def _part(self, groups: Iterable[int]) -> Block | None:
        """What the unit answers, where that is only a part of a block."""
        block = self._answers
        wholes = [one.block for group in groups for one in self._blocks.groups[group]]
        held = block is not None and block not in wholes and any(block.points[0] in one.points for one in wholes)
        return block if held else None

    def _finish(self, scan: TickScan) -> list[Answer]:
        """Learn from a finished scan; answers for the tags that were not asked for because they are known to be bad."""
        found, lessons, groups, fired = scan.findings, self._lessons, self._due.groups, self._fired
        now = self._clock.monotonic()
        self._seconds.observe(now - self._began)
        self._read.update(found.read)
        if found.good and not found.failed:
            self._answers = None
        if found.good and not found.unread_groups and lessons.uneventful(groups):
            return []
        failed = {block for block, _ in found.failed}
        self._read = {key: one for key, one in self._read.items() if one.block not in failed}
        known = lessons.known_bad(groups, fired, found.said, self._clock.now_ms())  # before: silent blocks were said
        lessons.heed(found, groups, fired, now, answered=scan.answered > 0)
        self._schedule.again((found.unread_groups | lessons.unfinished(groups)) - {-1})
        if lessons.learn(found, groups, now):
            self._planned()
        return known

    def _measure(self, now: float) -> None:
        """The period the shortest poll group achieves."""
        if self._last_began is not None:
            self._period.value = now - self._last_began
        self._last_began = now

    # --- what a scan asks (scan.Brain) --------------------------------------------------------------------------------

    def refused(self, step: Step, reaction: Reaction) -> bool:
        good = self._scan is not None and self._scan.findings.good > 0
        return self._lessons.refused(step, reaction, self._clock.monotonic(), good=good)

    def could_read(self, step: Step) -> None:
        self._lessons.could_read(step.compiled.block)

    def edges(self, compiled: Compiled, column: DecodedColumn) -> Iterable[Step]:
        bits = [(position, bool(column.values[index])) for index, position in compiled.bits]
        for index in self._triggers.see(bits, self._clock.monotonic()):
            self._fired.add(index)
            yield from self._read_on_edge(index)

    def _read_on_edge(self, index: int) -> list[Step]:
        probes = self._knowledge.probes(self._setup.triggers[index].points, self._began)
        return [Step(compiled) for compiled in self._blocks.on_edge[index]] + [self._probe(block) for block in probes]

    def _probe(self, block: Block) -> Step:
        self._knowledge.quarantine.postpone([point.position for point in block.points], self._began)
        return Step(self._blocks.compile(block), extra=True)

    def extra(self) -> Step | None:
        if not (self._probes or self._knowledge.search.todo):
            return None
        self._allowance.earn(self._clock.monotonic())
        if not self._allowance.free:
            return None
        if self._knowledge.search.todo:
            self._lessons.searches()
            block = self._knowledge.search.todo.pop(0)
            trigger = self._trigger_of.get(block.points[0].position)
            return Step(
                self._blocks.compile(block), extra=True, mute=trigger is not None and trigger not in self._fired
            )
        return self._probe(self._probes.pop()) if self._probes else None

    def spent(self, seconds: float) -> None:
        self._allowance.spend(seconds)

    def was_busy(self, step: Step) -> bool:
        return (step.group, step.compiled.block) in self._lessons.busy

    def witness(self, silent: Step) -> Compiled | None:
        others = {key: one for key, one in self._read.items() if one is not silent.compiled}
        area = silent.compiled.block.area
        key = max(others, key=lambda key: (key[1] != area, key[0] != silent.group), default=None)
        return None if key is None else others[key]

    def unread_factors(self) -> dict[int, Doubt]:
        bad = {position: self._knowledge.bad(position) for position in self._blocks.roles.factors}
        return {p: Doubt(None, reaction.status, reaction.reason) for p, reaction in bad.items() if reaction is not None}
