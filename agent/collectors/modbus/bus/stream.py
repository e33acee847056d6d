"""A connection that carries frames without a transaction id: a serial line, or a byte stream that leads to one.

One transaction at a time, and nobody can tell a late answer from the next one by its number (M1, M13 in the field
notes). So whatever was given up on is remembered by its form, over connections. For as long as an answer may take its
unit rests: others may be asked, because a late frame names its unit and is recognised between theirs. Where nothing
came by then, a connection that can be made anew is made anew, and the unit is first asked for something of another
form: its answer cannot be mistaken, however late the others are, and whoever gives it is in step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import NamedTuple, cast

from agent.collectors.modbus.bus.again import AnsweredAgain
from agent.collectors.modbus.bus.framing import Form, Frame, Framer, Garbage, of_another_size
from agent.collectors.modbus.bus.overdue import Overdue, OverdueAnswers
from agent.collectors.modbus.bus.received import ZEROS, Received
from agent.collectors.modbus.bus.shown import OWN_UNIT, ending_of, words_in
from agent.collectors.modbus.bus.strangers import Strangers
from agent.collectors.modbus.bus.transaction import (
    BadReply,
    HalfAnswer,
    LateAnswer,
    NoAnswer,
    ReadRequest,
    Unanswered,
    WrongSize,
)
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost

_DRAIN = 0.05  #: seconds of silence after garbage before anything is sent
_NEVER_SILENT = 2.0  #: seconds; a line that talks on and on is no Modbus line
_BUFFER = 4096
_FLOOD = "more bytes than any bus carries"
_AT_ONCE = 0.1  #: seconds; a peer that closes so soon had done so before the request came, and passed it to nobody


class Habits(NamedTuple):
    """What is known of such a connection."""

    gap: float = 0.0  #: seconds of silence between two frames
    character: float = 0.0  #: seconds each byte takes on the line; where unknown its time is in the time-out
    echo: bool = False  #: what is sent comes back (two-wire adapters)
    skip_zeros: bool = False  #: zero bytes stand before and behind frames (adapters that let the bus float)
    noise: tuple[bytes, ...] = ()  #: what may come at any time and means nothing (registration, heartbeat)
    reopens: bool = True  #: a new connection gets rid of what is on its way
    settle: float = 1.0  #: how long a unit rests after silence, in time-outs


class StreamWire(asyncio.Protocol):
    """Implements `transaction.Wire`, as the protocol of any transport."""

    def __init__(self, framer: Framer, habits: Habits, clock: Clock, overdue: OverdueAnswers) -> None:
        self._framer = framer
        self._habits = habits
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._gone: str | None = None  #: why the connection is lost
        self._unclean: str | None = None  #: why it has to be made anew
        self._received = Received(framer, skip_zeros=habits.skip_zeros, noise=habits.noise)
        self._asked: Form | None = None
        self._sent = b"\0"  #: the request in flight, or the newest one
        self._answer: asyncio.Future[Frame] | None = None
        self._again = AnsweredAgain()
        self._pausing: asyncio.Task[None] | None = None  #: while the line has to be silent
        self._overdue = overdue  #: what was given up on, by earlier connections, too
        self._dirty = False  #: garbage came; there may be more of it
        self._last = clock.monotonic()  #: when the newest byte came or went
        self._strangers = Strangers()
        self._touched = False  #: something has come since the request was sent
        self.any_unit: AbstractSet[int] = frozenset()  #: units that answer with another unit id
        self.numbered = False
        self.prompt: None = None  #: first the line has to be silent
        self.late: list[LateAnswer] = []
        self.strangers = self._strangers.heard
        self.stale = 0
        self.doubled = 0

    # --- what the bus calls ------------------------------------------------------------------------------------------

    @property
    def lost(self) -> str | None:
        """Why the connection is gone or not to be used any more; None while it is good."""
        return self._gone or self._unclean

    def rest(self, unit: int) -> float:
        """Seconds until this unit may be asked: zero, or what is left of the time its late answer has."""
        return self._overdue.rest(unit, self.any_unit, self._clock.monotonic())

    def renew(self, unit: int) -> bool:
        """Whether the connection has to be made anew before this unit is asked: what was given up dies with it."""
        return self._habits.reopens and self._overdue.on(self, unit, self.any_unit)

    async def transact(self, unit: int, request: ReadRequest) -> tuple[bytes, int]:
        """One read: data bytes and 0, or b"" and an exception code. Raises NoAnswer, BadReply, ConnectionLost."""
        self._overdue.forget(self._clock.monotonic())
        if doubted := self._overdue.sizes(unit, self.any_unit):
            await self._exchange(unit, of_another_size(request, doubted))
            self._overdue.in_step(unit, self.any_unit)
        answer = await self._exchange(unit, request)
        return answer.data, answer.code

    async def _exchange(self, unit: int, request: ReadRequest) -> Frame:
        await self._silence()
        if self.lost is not None or self._transport is None:
            raise Unanswered(self.lost or "not connected")
        form = Form.of(unit, request, any_unit=unit in self.any_unit)
        frame = self._framer.encode(unit, request)
        self._received.begin(frame if self._habits.echo else b"")
        self._asked, self._sent, self._touched = form, frame, False
        asked_at = self._clock.monotonic()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(frame)
        way = self._habits.character * (len(frame) * (1 + self._habits.echo) + self._framer.length(form))
        try:
            async with asyncio.timeout(request.timeout + way):
                answer = await self._answer
            if self._dirty:
                raise Garbage("more bytes came behind the answer", over=True)
        except TimeoutError:
            self._give_up(unit, form, request, asked_at)
            raise self._silence_of(unit, request) from None
        except ConnectionLost:
            if self._clock.monotonic() - asked_at > _AT_ONCE:
                self._give_up(unit, form, request, asked_at)  # a serial server may pass it to the next connection
            raise
        except Garbage as error:
            self._dirty = True
            if not error.over:
                self._give_up(unit, form, request, asked_at)
            if self._habits.reopens and not error.size:
                self._unclean = str(error)
            raise (WrongSize if error.size else BadReply)(str(error)) from None
        finally:
            self._asked = self._answer = None
            self._last = self._clock.monotonic()
        return answer

    def close(self) -> None:
        """Close at once, whatever is in flight."""
        self._gone = self._gone or "closed"
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # --- between transactions -----------------------------------------------------------------------------------------

    def _give_up(self, unit: int, form: Form, request: ReadRequest, asked_at: float) -> None:
        """The answer did not come. It may, for as long as an answer could take again."""
        until = self._clock.monotonic() + request.timeout * self._habits.settle
        self._overdue.add(Overdue(unit, form, asked_at, until, self))

    def _silence_of(self, unit: int, request: ReadRequest) -> NoAnswer:
        reason = f"no answer from unit {unit} within {round(request.timeout, 3):g} s"
        came = len(self._received.data)
        return HalfAnswer(f"{reason}, only {came} bytes of it") if came else NoAnswer(reason)

    async def _silence(self) -> None:
        """Wait for the gap between frames; after garbage, until the line has been silent for a while."""
        give_up_at = self._clock.monotonic() + _NEVER_SILENT
        while self.lost is None:
            now = self._clock.monotonic()
            wait = self._last + max(self._habits.gap, _DRAIN if self._dirty else 0.0) - now
            wait = max(wait, self._again.wait(now))
            if wait <= 0:
                self._dirty = False
                return
            if now > give_up_at:
                self._unclean = "the line is never silent"
            await self._pause(wait)
            await asyncio.sleep(0)  # what has come by now is read first

    async def _pause(self, seconds: float) -> None:
        """Not beyond the end of the connection: many serial servers close it behind each answer."""
        try:
            async with asyncio.TaskGroup() as group:
                self._pausing = group.create_task(self._clock.sleep(seconds))
        finally:
            self._pausing = None

    def _idle(self) -> None:
        """Bytes while nothing is asked: a late answer, a heartbeat, somebody else's frame, or garbage."""
        while True:
            if self._skipped_double() is None:
                return
            try:
                while (frame := self._received.next(self._overdue.forms)) is not None:
                    self._came_late(frame)
            except Garbage as error:
                whole = self._framer.whole(bytes(self._received.data))
                if whole:
                    self._heard_stranger(whole)
                    continue
                if whole is None and len(self._received.data) < _BUFFER:
                    return  # it may be one yet; what asks next does not wait for it
                reason = words_in(bytes(self._received.data)) or f"nobody asked for this: {error}"
                self._received.data.clear()
                self._dirty = True
                if self._habits.reopens:
                    self._unclean = reason
            return

    def _heard_stranger(self, length: int) -> None:
        """A whole frame that nobody here asked for: another master talks on this bus."""
        del self._received.data[:length]
        if self._strangers.hear(self._clock.monotonic()):
            self._received.data.clear()
            self._unclean = _FLOOD
            if self._transport is not None:
                self._transport.abort()

    def _skipped_double(self) -> bool | None:
        """Whether the newest answer stood there once more, and is taken away; None: the rest of it has to come."""
        length = self._again.begins(self._received.data, self._clock.monotonic())
        if length:
            del self._received.data[:length]
            self.doubled += 1
        return None if length is None else length > 0

    def _came_late(self, frame: Frame) -> None:
        self.stale += 1
        lost = self._overdue.came(frame.form)
        self.late.append(LateAnswer(lost.unit, self._clock.monotonic() - lost.asked_at, frame.code))

    # --- the transport's protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = self._gone or ending_of(exc)
        if self._pausing is not None:
            self._pausing.cancel()
        self._fail(ConnectionLost(self._gone) if self._touched else Unanswered(self._gone))

    def data_received(self, data: bytes) -> None:
        self._last = self._clock.monotonic()
        self._touched = True
        self._received.data += data
        if len(self._received.data) > _BUFFER:
            self._dirty = True
            if self._habits.reopens:
                self._unclean = _FLOOD
            self._fail(Garbage(_FLOOD))
            return
        if self._asked is None or self._answer is None or self._answer.done():
            self._idle()
            return
        try:
            self._parse(self._asked, self._answer)
        except Garbage as error:
            self._fail(error)

    def _parse(self, asked: Form, answer: asyncio.Future[Frame]) -> None:
        """Look for the answer. What hangs behind it makes it worthless: two frames may have been merged into one."""
        if not self._received.echoed():
            return
        while True:
            try:
                frame = self._received.next([asked, *(form for form in self._overdue.forms if form != asked)])
            except Garbage as error:
                if not self._skipped_stranger(asked, error):
                    return
                continue
            if frame is None:
                return
            if frame.form is asked:
                break
            self._came_late(frame)
        self._again.answered(self._received.newest, self._clock.monotonic())
        while (double := self._skipped_double()) and self._received.data:
            pass
        if double is not None:
            self._received.end()
        answer.set_result(frame)

    def _skipped_stranger(self, asked: Form, error: Garbage) -> bool:
        """Whether a frame that answers nothing was somebody else's, and is taken away; False: it may be one yet.

        Raises Garbage where it is none.
        """
        if self._again.expected(self._clock.monotonic()) and self._skipped_double():
            return True
        data = bytes(self._received.data)
        whole = None if data.startswith(self._sent) else self._framer.whole(data)
        if data.startswith(self._sent):
            raise Garbage(f"{error}: what was sent came back (two-wire adapters need `workarounds: {{echo: true}}`)")
        if whole:
            alone = self._strangers.silent(self._clock.monotonic())
            if alone and (size := self._framer.size_for(data[:whole], asked)) is not None:
                raise Garbage(f"{size} data bytes instead of {asked.size}", over=True, size=True)
            self._heard_stranger(whole)
            if alone and self._framer.size_for(data[:whole], replace(asked, unit=None)) == asked.size:
                raise Garbage(f"{error}: the unit id is another than asked ({OWN_UNIT})")
            if alone:
                raise error
            return True
        if whole is None and not error.over:
            return False
        zeros = f"zero bytes before its answer ({ZEROS})"
        raise Garbage(words_in(data) or (str(error) if data[0] else zeros), over=error.over)

    def _fail(self, error: Exception) -> None:
        self._received.data.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
