"""One scan: the blocks due at a tick, asked one after the other, judged, and handed on in pieces.

What is refused is cut in half until the bad tags stand alone. A block without an answer makes its tags bad; a whole
scan without one takes the unit offline, and after two silences at its start nobody waits for a third.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.collectors.modbus.codec import Decoder, compile_block
from agent.collectors.modbus.line import ModbusLine
from agent.collectors.modbus.plan import Block, halves
from agent.collectors.modbus.reactions import Reaction, reaction_to
from agent.collectors.modbus.transaction import BadReply, NoAnswer, Reply, Request
from agent.collectors.polling import SCAN_YIELD_SECONDS
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.core.quality import BAD_COMMUNICATION_ERROR, BAD_TIMEOUT
from agent.telemetry.metrics import READ_ERRORS, REQUESTS

BUSY_RETRIES = (0.1, 0.2, 0.4, 0.8)
"""Seconds to wait before a busy device is asked again."""
_SILENCES = 2  #: at the start of a scan; then the unit is gone, and its neighbours on the line get their turn


@dataclass(frozen=True, slots=True)
class Compiled:
    """A block ready to be asked. `tags` is the same tuple on every scan."""

    block: Block
    request: Request
    tags: tuple[int, ...]
    decode: Decoder

    @classmethod
    def of(cls, block: Block, timeout: float) -> Compiled:
        """Compile a block."""
        return cls(
            block,
            Request(block.function, block.offset, block.count, timeout),
            tuple(point.position for point in block.points),
            compile_block(block),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A block to ask in this scan."""

    compiled: Compiled
    group: int
    probe: bool = False  #: a quarantined tag, alone
    attempt: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class Findings:
    """What a scan found out."""

    good: int = 0  #: blocks read
    answered: int = 0  #: blocks that drew any answer of the unit itself
    silent: int = 0  #: blocks that drew none, or rubbish
    why_silent: str = ""
    refused: dict[int, Reaction] = field(default_factory=dict)  #: tags refused on their own
    probed: list[int] = field(default_factory=list)  #: quarantined tags that could be read
    first_refusal: tuple[str, str] | None = None  #: block and reason of the first one that was split
    splits: list[tuple[tuple[int, ...], int]] = field(
        default_factory=list
    )  #: tags of a block, the one it was cut before
    read: set[int] = field(default_factory=set)  #: tags read after the first split
    unread_groups: set[int] = field(default_factory=set)  #: with a block that brought no word about its tags

    @property
    def cuts(self) -> set[int]:
        """Tags that blocks have to be cut before: what was refused whole and could be read in parts.

        Either the device takes less at a time, or something between the tags is not there.
        """
        return {before for tags, before in self.splits if self.read.issuperset(tags)}


class Scan:
    """Asks the blocks of one tick. Call :meth:`next` until it is :attr:`over`, :meth:`close` in any case."""

    def __init__(
        self, line: ModbusLine, unit: int, clock: Clock, steps: Iterable[Step], *, device: str, bisect: bool
    ) -> None:
        self.findings = Findings()
        self._line = line
        self._unit = unit
        self._clock = clock
        self._steps = deque(steps)
        self._device = device
        self._bisect = bisect
        self._requests = REQUESTS.labels(device)
        self._answers: list[Answer] = []
        self._pending: asyncio.Future[Reply] | None = None
        self._gate: asyncio.Future[None] | None = None
        self._overdue = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether everything has been asked, and all answers are handed on."""
        return not self._steps and not self._answers

    async def next(self) -> list[Answer]:
        """Answers to hand on now: all that are left, or, where that takes more than 100 ms, what is at hand by then.

        Raises ConnectionLost, or NoAnswer where the unit does not answer at all.
        """
        self._overdue = False
        while self._steps:
            step = self._steps[0]
            if self._pending is None:
                wait = step.not_before - self._clock.monotonic() if step.not_before else 0.0
                if wait > 0:
                    if self._presentable:
                        return self._hand_on()
                    await self._clock.sleep(wait)
                self._requests.inc()
                self._pending = self._line.submit(self._unit, step.compiled.request)
            if not await self._arrived(self._pending):
                return self._hand_on()
            answer, self._pending = self._pending, None
            self._steps.popleft()
            self._judge(step, answer)
        self._stop_timer()
        self._check_silence(at_end=True)
        return self._hand_on()

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
        self._answers.append(Answer(compiled.tags, column.values, reply.ts, column.status, reason=column.reason))
        if step.probe:
            self.findings.probed.extend(compiled.tags)
        if self.findings.splits:
            self.findings.read.update(compiled.tags)

    def _silence(self, step: Step, reaction: Reaction, code: str) -> None:
        self._count(code)
        self.findings.silent += 1
        self.findings.why_silent = reaction.reason
        self.findings.unread_groups.add(step.group)
        self._bad(step.compiled, reaction, self._clock.now_ms())
        self._check_silence(at_end=False)

    def _check_silence(self, *, at_end: bool) -> None:
        found = self.findings
        if not found.answered and found.silent and (at_end or found.silent >= _SILENCES):
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
                self._steps.append(Step(compiled, step.group, step.probe, step.attempt + 1, later))
                return
            self.findings.unread_groups.add(step.group)
        elif reaction.kind == "unsupported":
            self.findings.refused.update(dict.fromkeys(compiled.tags, reaction))
        elif reaction.kind == "split":
            parts = halves(compiled.block)
            if parts is None:
                self.findings.refused[compiled.tags[0]] = reaction
            elif self._bisect:
                self.findings.first_refusal = self.findings.first_refusal or (str(compiled.block), reaction.reason)
                self.findings.splits.append((compiled.tags, parts[1].points[0].position))
                timeout = compiled.request.timeout
                self._steps.extendleft(Step(Compiled.of(part, timeout), step.group) for part in reversed(parts))
                return
        self._bad(compiled, reaction, reply.ts)

    def _bad(self, compiled: Compiled, reaction: Reaction, ts: int) -> None:
        tags = compiled.tags
        self._answers.append(Answer(tags, (None,) * len(tags), ts, reaction.status, reason=reaction.reason))

    def _count(self, code: str) -> None:
        READ_ERRORS.labels(self._device, code).inc()
