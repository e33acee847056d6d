"""One scan: the blocks due at a tick, asked one after the other, judged, and handed on in pieces.

After them comes what the collector knows to ask besides, as long as it may: halves of refused blocks, probes. A block
without an answer makes its tags bad; a whole scan without one takes the unit offline, and after two silences at its
start nobody waits for a third.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.collectors.common.polling import SCAN_YIELD_SECONDS
from agent.collectors.modbus.blocks.codec import DecodedColumn
from agent.collectors.modbus.blocks.compiled import Compiled, Factors
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.reactions import Reaction, reaction_to
from agent.collectors.modbus.blocks.values import Doubt
from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, Reply
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.core.quality import BAD_COMMUNICATION_ERROR, BAD_TIMEOUT
from agent.telemetry.metrics import READ_ERRORS, REQUESTS

BUSY_RETRIES = (0.1, 0.2, 0.4, 0.8)
"""Seconds to wait before a busy device is asked again."""
_SILENCES = 2  #: at the start of a scan; then the unit is gone, and its neighbours on the bus get their turn


@dataclass(frozen=True, slots=True)
class Step:
    """A block to ask in this scan."""

    compiled: Compiled
    group: int = -1  #: poll group; -1: of none
    extra: bool = False  #: asked besides the regular blocks: a half, a probe
    mute: bool = False  #: asked to learn whether it can be read; what it says is not published
    attempt: int = 0
    not_before: float = 0.0


class Brain(Protocol):
    """What a scan asks its collector."""

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

    def unread_factors(self) -> dict[int, Doubt]:
        """Scale factors that are not asked for, and why."""


@dataclass(slots=True)
class Findings:
    """What a scan found out."""

    good: int = 0  #: blocks read
    answered: int = 0  #: blocks that drew any answer of the unit itself
    silent: int = 0  #: blocks that drew none, or rubbish
    why_silent: str = ""
    silent_blocks: list[tuple[Block, Reaction]] = field(default_factory=list)  #: regular ones
    refused: dict[int, Reaction] = field(default_factory=dict)  #: tags refused for good, whatever block they are in
    said: set[int] = field(default_factory=set)  #: tags answered for by extra blocks
    undecided: list[Block] = field(default_factory=list)  #: extra blocks that failed for another reason
    unread_groups: set[int] = field(default_factory=set)  #: with a block that brought no word about its tags


class Scan:
    """Asks the blocks of one tick. Call :meth:`next` until it is :attr:`over`, :meth:`close` in any case."""

    def __init__(
        self, bus: ModbusBus, unit: int, clock: Clock, steps: Iterable[Step], brain: Brain, *, device: str,
        lenient: bool = False,
    ) -> None:  # fmt: skip
        self.findings = Findings()
        self._bus = bus
        self._unit = unit
        self._clock = clock
        self._steps = deque(steps)
        self._brain = brain
        self._device = device
        self._lenient = lenient  #: silence says nothing about the unit: too little is asked
        self._requests = REQUESTS.labels(device)
        self._answers: list[Answer] = []
        self._factors: Factors | None = None
        self._pending: asyncio.Future[Reply] | None = None
        self._asked_at = 0.0
        self._asked_all = False
        self._gate: asyncio.Future[None] | None = None
        self._overdue = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether everything has been asked, and all answers are handed on."""
        return self._asked_all and not self._answers

    async def next(self) -> list[Answer]:
        """Answers to hand on now: all that are left, or, where that takes more than 100 ms, what is at hand by then.

        Raises ConnectionLost, or NoAnswer where the unit does not answer at all.
        """
        self._overdue = False
        while (step := self._current()) is not None:
            if self._pending is None:
                wait = step.not_before - self._clock.monotonic() if step.not_before else 0.0
                if wait > 0:
                    if self._presentable:
                        return self._hand_on()
                    await self._clock.sleep(wait)
                self._requests.inc()
                if step.extra:
                    self._asked_at = self._clock.monotonic()
                self._pending = self._bus.submit(self._unit, step.compiled.request)
            if not await self._arrived(self._pending):
                return self._hand_on()
            answer, self._pending = self._pending, None
            self._steps.popleft()
            if step.extra:
                self._brain.spent(self._clock.monotonic() - self._asked_at)
            self._judge(step, answer)
        self._stop_timer()
        self._check_silence(at_end=True)
        self._asked_all = True
        if self._factors is not None:
            self._say(self._factors.rest(self._brain.unread_factors()))
        return self._hand_on()

    def _current(self) -> Step | None:
        if not self._steps:
            extra = self._brain.extra()
            if extra is None:
                return None
            self._steps.append(extra)
        return self._steps[0]

    def close(self) -> None:
        """Abandon what is on its way."""
        self._stop_timer()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    # --- waiting ------------------------------------------------------------------------------------------------------

    @property
    def _presentable(self) -> bool:
        """Whether there is something worth saying: of a unit that may be offline nothing is, yet."""
        return bool(self._answers) and self.findings.answered > 0

    async def _arrived(self, pending: asyncio.Future[Reply]) -> bool:
        """Wait for the answer; False where what is at hand should not wait for it any longer."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(SCAN_YIELD_SECONDS, self._late)
        while not pending.done():
            if self._overdue and self._presentable:
                return False
            self._gate = loop.create_future()
            pending.add_done_callback(self._open)
            await self._gate
        return True

    def _late(self) -> None:
        self._overdue, self._timer = True, None
        self._open()

    def _open(self, _: object = None) -> None:
        if self._gate is not None and not self._gate.done():
            self._gate.set_result(None)

    def _hand_on(self) -> list[Answer]:
        self._stop_timer()
        answers, self._answers = self._answers, []
        return answers

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, step: Step, answer: asyncio.Future[Reply]) -> None:
        try:
            reply = answer.result()
        except NoAnswer as fault:
            self._silence(step, Reaction(BAD_TIMEOUT, fault.reason, "silent"), "timeout")
            return
        except BadReply as fault:
            self._silence(step, Reaction(BAD_COMMUNICATION_ERROR, fault.reason, "silent"), "bad_reply")
            return
        if reply.code:
            self._exception(step, reaction_to(reply.code), reply)
            return
        self.findings.answered += 1
        self.findings.good += 1
        compiled = step.compiled
        column = compiled.decode(reply.data)
        if step.extra:
            self._brain.could_read(step)
        if step.mute:
            return
        if compiled.links is not None:
            self._factors = self._factors or Factors(self._brain.unread_factors())
            self._say(self._factors.read(compiled, column, reply.ts))
        else:
            self._answers.append(Answer(compiled.tags, column.values, reply.ts, column.status, reason=column.reason))
        if compiled.bits:
            self._steps.extendleft(reversed(list(self._brain.edges(compiled, column))))
        if step.extra:
            self.findings.said.update(compiled.tags)

    def _say(self, complete: Iterable[tuple[Compiled, DecodedColumn, int]]) -> None:
        for compiled, column, ts in complete:
            if compiled.tags:
                self._answers.append(Answer(compiled.tags, column.values, ts, column.status, reason=column.reason))

    def _silence(self, step: Step, reaction: Reaction, code: str) -> None:
        self._count(code)
        self.findings.silent += 1
        self.findings.why_silent = reaction.reason
        if not step.extra:
            self.findings.unread_groups.add(step.group)
            self.findings.silent_blocks.append((step.compiled.block, reaction))
            self._bad(step, reaction, self._clock.now_ms())
        elif not self._brain.refused(step, reaction):
            self._bad(step, reaction, self._clock.now_ms())
        self._check_silence(at_end=False)

    def _check_silence(self, *, at_end: bool) -> None:
        found = self.findings
        if not self._lenient and not found.answered and found.silent and (at_end or found.silent >= _SILENCES):
            raise NoAnswer(found.why_silent)

    def _exception(self, step: Step, reaction: Reaction, reply: Reply) -> None:
        if reaction.kind == "silent":
            self._silence(step, reaction, f"exception_{reply.code:02x}")
            return
        self._count(f"exception_{reply.code:02x}")
        self.findings.answered += 1
        compiled = step.compiled
        if reaction.kind == "busy":
            if step.attempt < len(BUSY_RETRIES):
                later = self._clock.monotonic() + BUSY_RETRIES[step.attempt]
                self._steps.append(replace(step, attempt=step.attempt + 1, not_before=later))
                return
            self.findings.unread_groups.add(step.group)
        elif reaction.kind == "unsupported":
            self.findings.refused.update((point.position, reaction) for point in compiled.block.points)
        elif reaction.kind == "split" and self._brain.refused(step, reaction):
            return
        if step.extra and reaction.kind in ("busy", "bad"):
            self.findings.undecided.append(compiled.block)
        self._bad(step, reaction, reply.ts)

    def _bad(self, step: Step, reaction: Reaction, ts: int) -> None:
        compiled = step.compiled
        if step.mute:
            return
        if compiled.links is not None:
            self._factors = self._factors or Factors(self._brain.unread_factors())
            self._say(self._factors.failed(compiled, Doubt(None, reaction.status, reaction.reason)))
        if step.extra:
            self.findings.said.update(compiled.tags)
        if tags := compiled.tags:
            self._answers.append(Answer(tags, (None,) * len(tags), ts, reaction.status, reason=reaction.reason))

    def _count(self, code: str) -> None:
        READ_ERRORS.labels(self._device, code).inc()
