"""One scan of a Modbus unit: what the answers to its blocks mean.

After the blocks due at a tick comes what the collector knows to ask besides, as long as it may: halves of refused
blocks, probes. A block without an answer makes its tags bad.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from agent.collectors.common.pending import Pending
from agent.collectors.common.scanner import Scanner
from agent.collectors.modbus.blocks.codec import DecodedColumn, all_doubted
from agent.collectors.modbus.blocks.compiled import Compiled, Factors
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.reactions import Reaction, reaction_to
from agent.collectors.modbus.blocks.setup import Setup
from agent.collectors.modbus.blocks.values import Doubt
from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, UnitReply, WrongSize
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.core.quality import BAD_COMMUNICATION_ERROR, BAD_TIMEOUT
from agent.telemetry.cells import Counter
from agent.telemetry.metrics import READ_ERRORS

BUSY_RETRIES = (0.1, 0.2, 0.4, 0.8)
"""Seconds to wait before a busy device is asked again."""


class Step(NamedTuple):
    """A block to ask in this scan."""

    compiled: Compiled
    group: int = -1  #: poll group; -1: of none
    extra: bool = False  #: asked besides the regular blocks: a half, a probe
    mute: bool = False  #: asked to learn whether it can be read; what it says is not published
    attempt: int = 0  #: times the device was busy
    silences: int = 0  #: times it kept silent
    not_before: float = 0.0


class Brain(Protocol):
    """What a scan asks its collector."""

    def go_on(self) -> None:
        """There is something to go on with: ask the scan again."""

    def refused(self, step: Step, reaction: Reaction) -> bool:
        """A block was refused. True: its tags are spoken for, the scan says nothing about them."""

    def could_read(self, step: Step) -> None:
        """An extra block was read."""

    def edges(self, compiled: Compiled, column: DecodedColumn) -> Iterable[Step]:
        """Bits that are watched were read: what to ask at once because of it."""

    def extra(self) -> Step | None:
        """One more block that may be asked in this scan."""

    def spent(self, seconds: float) -> None:
        """An extra block took so long."""

    def was_busy(self, step: Step) -> bool:
        """Whether the device was too busy for this block when it was last asked for."""

    def witness(self, silent: Step) -> Compiled | None:
        """What was read before, as far from what is silent as there is anything; None: nothing else was."""

    def unread_factors(self) -> dict[int, Doubt]:
        """Scale factors that are not asked for, and why."""


class Findings:
    """What a scan found out."""

    good = 0  #: blocks read
    why_silent = ""
    failed: tuple[tuple[Block, Reaction], ...] = ()  #: regular ones without a value
    said: frozenset[int] = frozenset()  #: tags answered for by extra blocks
    undecided: tuple[Block, ...] = ()  #: extra blocks the device was too busy for
    busy: frozenset[tuple[int, Block]] = frozenset()  #: regular ones it was too busy for, with their poll group
    unread_groups: frozenset[int] = frozenset()  #: with a block that failed, or was undecided

    def __init__(self) -> None:
        self.read: dict[tuple[int, str], Compiled] = {}  #: the last one of each poll group and area


class TickScan(Scanner[Step, UnitReply]):
    """The blocks of one tick, and after them what the collector knows to ask besides."""

    _factors: Factors | None = None

    def __init__(
        self, bus: ModbusBus, setup: Setup, clock: Clock, steps: Iterable[Step], brain: Brain, requests: Counter,
        *, until: float, lenient: bool = False,
    ) -> None:  # fmt: skip
        """`requests` counts them; `until` (monotonic): when the next cycle is due."""
        super().__init__(clock, steps, brain.go_on, lenient=lenient)
        self.findings = Findings()
        self._bus = bus
        self._setup = setup
        self._brain = brain
        self._requests = requests
        self._until = until

    def ask(self, step: Step) -> Pending[UnitReply]:
        self._requests.value += 1
        return self._bus.submit(self._setup.unit, step.compiled.request)

    def not_before(self, step: Step) -> float:
        return step.not_before

    def extra(self) -> Step | None:
        return self._brain.extra()

    def silence(self) -> Exception:
        return NoAnswer(self.findings.why_silent)

    def rest(self) -> None:
        if self._factors is not None:
            self._say(self._factors.rest(self._brain.unread_factors()))

    def judge(self, step: Step, answer: Pending[UnitReply], asked_at: float) -> None:
        if step.extra:
            self._brain.spent(self._clock.monotonic() - asked_at)
        try:
            reply = answer.result()
        except (NoAnswer, BadReply) as fault:
            self._unread(step, fault)
            return
        if reply.code:
            self._exception(step, reaction_to(reply.code), reply)
            return
        self.answered += 1
        self.findings.good += 1
        compiled = step.compiled
        column = compiled.decode(reply.data)
        if reply.doubt is not None:
            column = all_doubted(column, reply.doubt)
        if step.group >= 0:
            self.findings.read[step.group, compiled.block.area] = compiled
        elif not self._may_say(step):
            return
        if compiled.links is not None:
            self._factors = self._factors or Factors(self._brain.unread_factors())
            self._say(self._factors.read(compiled, column, reply.ts))
        else:
            self._answers.append(Answer(compiled.tags, column.values, reply.ts, column.status, reason=column.reason))
        if compiled.bits:
            self._steps.extendleft(reversed(list(self._brain.edges(compiled, column))))

    def _may_say(self, step: Step) -> bool:
        """Whether what was asked beside the poll groups, and read, is said."""
        if step.extra:
            self._brain.could_read(step)
        if step.mute or self._repeats(step):
            return False
        if step.extra:
            self.findings.said |= set(step.compiled.tags)
        return True

    def _say(self, complete: Iterable[tuple[Compiled, DecodedColumn, int]]) -> None:
        for compiled, column, ts in complete:
            if compiled.tags:
                self._answers.append(Answer(compiled.tags, column.values, ts, column.status, reason=column.reason))

    def _unread(self, step: Step, fault: NoAnswer | BadReply) -> None:
        """There is no answer that can be used."""
        if isinstance(fault, NoAnswer):
            self._silence(step, Reaction(BAD_TIMEOUT, fault.reason, "silent"), "timeout")
        elif isinstance(fault, WrongSize):
            self.answered += 1
            self._fault(step, Reaction(BAD_COMMUNICATION_ERROR, fault.reason, "bad"), "bad_reply")
        else:
            self._silence(step, Reaction(BAD_COMMUNICATION_ERROR, fault.reason, "silent"), "bad_reply")

    def _silence(self, step: Step, reaction: Reaction, code: str) -> None:
        self._count(code)
        if not step.extra and step.silences < self._setup.retries:
            self._steps.appendleft(step._replace(silences=step.silences + 1))
            return
        self.silent += 1
        self._fault(step, reaction, None)
        if self.silent == 1 and not self.answered and not self._lenient:
            self._call_witness(step)

    def _call_witness(self, silent: Step) -> None:
        """Ask next what tells a silent block from a silent unit."""
        witness = self._brain.witness(silent)
        if witness is None:
            return
        asked = next((step for step in self._steps if step.compiled is witness), None)
        if asked is not None:
            self._steps.remove(asked)
        self._steps.appendleft(asked or Step(witness, mute=True))

    def _fault(self, step: Step, reaction: Reaction, code: str | None) -> None:
        """No value: the tags are bad, and the block is looked at more closely where that goes on."""
        if code is not None:
            self._count(code)
        self.findings.why_silent = reaction.reason
        if not step.extra:
            self.findings.unread_groups |= {step.group}
            self.findings.failed += ((step.compiled.block, reaction),)
            self._bad(step, reaction, self._clock.now_ms())
        elif not self._brain.refused(step, reaction):
            self._bad(step, reaction, self._clock.now_ms())

    def _exception(self, step: Step, reaction: Reaction, reply: UnitReply) -> None:
        if reaction.kind == "silent":
            self._silence(step, reaction, f"exception_{reply.code:02x}")
            return
        self._count(f"exception_{reply.code:02x}")
        self.answered += 1
        compiled = step.compiled
        if reaction.kind == "busy":
            if step.attempt < len(BUSY_RETRIES):
                later = self._clock.monotonic() + BUSY_RETRIES[step.attempt]
                if later < self._until or not self._brain.was_busy(step):  # what stays busy makes no cycle late
                    self._steps.append(step._replace(attempt=step.attempt + 1, not_before=later))
                    return
            self.findings.unread_groups |= {step.group}
            if step.extra:
                self.findings.undecided += (compiled.block,)
            elif step.group >= 0:
                self.findings.busy |= {(step.group, compiled.block)}
        elif step.extra or reaction.kind == "split":
            if self._brain.refused(step, reaction):
                return
        else:
            self.findings.unread_groups |= {step.group}
            self.findings.failed += ((compiled.block, reaction),)
        self._bad(step, reaction, reply.ts)

    def _bad(self, step: Step, reaction: Reaction, ts: int) -> None:
        compiled = step.compiled
        if step.mute or self._repeats(step):
            return
        if compiled.links is not None:
            self._factors = self._factors or Factors(self._brain.unread_factors())
            self._say(self._factors.failed(compiled, Doubt(None, reaction.status, reaction.reason)))
        if step.extra:
            self.findings.said |= set(compiled.tags)
        if tags := compiled.tags:
            self._answers.append(Answer(tags, (None,) * len(tags), ts, reaction.status, reason=reaction.reason))

    def _repeats(self, step: Step) -> bool:
        """Whether another extra block of this scan has said all there is to say."""
        return step.extra and self.findings.said.issuperset(step.compiled.tags)

    def _count(self, code: str) -> None:
        READ_ERRORS.labels(self._setup.device, code).inc()
