"""One broker session: our own window, a future per bundle of messages, reason codes turned into reactions.

No I/O of its own; it tells a link what to write and is told what came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from agent.core.clock import to_beat
from agent.core.errors import AgentError, ConnectionLost, Rejected
from agent.core.flow import Incoming, Limits, Message
from agent.core.posting import Answered
from agent.publishers.mqtt import patience, reasons
from agent.publishers.mqtt.acks import Ack
from agent.publishers.mqtt.flying import Bundle, Flying, Outcomes, settle
from agent.publishers.mqtt.hangups import CLEARLY, SMALLEST
from agent.publishers.mqtt.inbox import SessionInbox
from agent.publishers.mqtt.link import Disconnection, SessionLink
from agent.publishers.mqtt.oversize import Oversize
from agent.publishers.mqtt.pace import Pace
from agent.publishers.mqtt.packet import Packet, prepare
from agent.publishers.mqtt.quotas import Quotas
from agent.publishers.mqtt.unheard import Unheard
from agent.publishers.mqtt.unproven import Unproven
from agent.settings.topics import whole
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import ACK_SECONDS

log = get_logger("mqtt")

#: Between two looks at what waits for its acknowledgement, seconds.
_LOOK = 2.0
_QUOTA = 0x97
#: What lies behind one topic is full: it waits this long, seconds. Long enough to wait alone, see `sender.PARKING`.
_FULL_RETRY = 60.0


class MqttSession:
    """See `agent.core.ports.Session`."""

    def __init__(
        self, link: SessionLink, limits: Limits, publisher: str, *, hold_unheard: bool = False,
        pace: Pace | None = None, taken: int = 0, wary: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`taken`: bytes of the largest packet this broker has acknowledged in earlier sessions.

        `wary`: it closed at a larger one. Nothing is written behind the first such now: a broker that closes with
        something unread loses what it said last, that the packet is too large perhaps.
        """
        self.limits = limits
        self._monotonic = monotonic
        self.largest_taken = 0  #: bytes of the largest packet acknowledged
        self.too_large = 0  #: bytes of the one the broker found too large
        self._taken_before = max(taken, SMALLEST)
        self._wary, self._probing = wary, False  # …, and whether it is under way
        self.pace = pace or Pace(limits.max_rate)
        self._progress = self._monotonic()  # of acknowledgements, or of bytes on their way to the broker
        self._moved = 0.0  # of these bytes
        self._watchdog = asyncio.get_running_loop().call_later(min(limits.keep_alive / 2, _LOOK), self._watch)
        self._link = link
        self._publisher = publisher
        self._flying: dict[int, Flying] = {}
        self._turn = asyncio.Lock()  # bundles are written whole, in the order of the calls
        self._waiting = 0  # calls that have it, or wait for it
        self._outcomes = Outcomes()
        self._room: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._why: Callable[[], AgentError] | None = None
        self._inbox = SessionInbox(publisher, monotonic)
        self._order = 0
        self._unproven = Unproven(link.ping)
        self._quotas = Quotas()
        self._unheard = Unheard(publisher, hold=hold_unheard)
        self._ack_seconds = ACK_SECONDS.labels(publisher)

    # --- the port -----------------------------------------------------------------------------------------------------

    async def send(self, messages: Sequence[Message], /) -> asyncio.Future[None]:
        """See the port. Raises why the connection ended, if it has."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bundle = Bundle(len(messages), settle, future)
        try:
            packets = [prepare(message, self.limits) for message in messages]
        except Rejected as refused:
            bundle.fail(refused)
            return future
        self._waiting += 1
        try:
            async with self._turn:
                for message, packet in zip(messages, packets, strict=True):
                    await self._may_write()
                    if future.done():  # a part of it was refused: the rest is of no use
                        break
                    self._write(packet, message.payload, bundle)
        finally:
            self._waiting -= 1
        return future

    def send_at_once(self, messages: Sequence[Message], answered: Answered, /) -> bool:
        """See `agent.core.posting.Prompt`."""
        room = self.limits.window - len(self._flying) if self.limits.max_qos and self.pace.free else 0
        if self._waiting or self._wary or self._why is not None or not 0 < len(messages) <= room:
            return False
        try:
            packets = [prepare(message, self.limits) for message in messages]
        except Rejected:
            return False
        bundle = Bundle(len(packets), self._outcomes.tell, answered)
        for message, packet in zip(messages, packets, strict=True):
            self._write(packet, message.payload, bundle)
        return True

    def incoming(self) -> AsyncIterator[Incoming]:
        """See the port."""
        return self._inbox.all()

    async def closed(self) -> None:
        """See the port."""
        await self._gone.wait()
        raise self._why() if self._why is not None else ConnectionLost("closed by us")

    # --- what the connection tells ------------------------------------------------------------------------------------

    def acknowledged(self, acks: Sequence[Ack], /) -> None:
        """PUBACKs, or a QoS 0 message is written. An identifier nobody waits for is ignored."""
        now, proving = self._monotonic(), bool(self._unproven) or self._wary
        self.pace.acknowledged(now, len(acks))
        for mid, code in acks:
            flying = self._flying.pop(mid, None)
            if flying is None:
                continue
            self._progress = now
            self._ack_seconds.observe(now - flying.sent)
            if code >= 0x80 or proving or not flying.packet.qos:
                self._landed(flying, code, now)
            else:
                self._taken(flying, code, now)
        self._make_room()

    def _landed(self, flying: Flying, code: int, now: float) -> None:
        if self._probing and flying.packet.size > self._taken_before:
            self._wary = self._probing = False
        if not flying.packet.qos:  # written, which says nothing of the broker: a birth too large ends the session later
            self._unproven.add(flying)
            if not flying.packet.proof:
                flying.bundle.done()
            return
        self._proven(self._unproven.take(flying.order))
        if code < 0x80:
            self._taken(flying, code, now)
            return
        row = reasons.reaction(reasons.PUBACK, code)
        if code == _QUOTA:
            row = self._over_quota(row, flying, now)
        elif row.without == "size" and self._teaches(flying.packet.size):
            self.too_large = flying.packet.size  # what is sent again is cut to less
            row = row._replace(kind="lost")
        flying.bundle.fail(reasons.error(row, code, flying.packet.topic))
        if row.kind == "lost":
            self._link.abort(row.text)

    def _teaches(self, refused: int) -> bool:
        """Whether packets of this size are too large. Not where larger ones are taken, or it is what cannot be cut."""
        return max(SMALLEST, self.largest_taken) < refused <= (self.limits.part_bytes or refused)

    def _over_quota(self, row: reasons.ReasonReaction, flying: Flying, now: float) -> reasons.ReasonReaction:
        """Slower, or only this topic waits."""
        if self._quotas.refused(flying.packet.topic, now):
            self.pace.absolve()
            return row if flying.packet.retained else row._replace(retry_after=_FULL_RETRY)
        if (rate := self.pace.halve(now)) is not None:
            log.warning(
                "mqtt.rate_learned", publisher=self._publisher, broker=self.limits.server, per_second=round(rate, 1)
            )
        return row

    def received(self, incoming: Incoming, /) -> None:
        """A message on a topic listened to."""
        self._inbox.put(incoming)

    def oversized(self, found: Oversize, /) -> None:
        """A message that was read past."""
        self._inbox.past(found)

    def pinged(self) -> None:
        """A PINGREQ follows everything written so far."""
        self._unproven.pinged(self._order)

    def ponged(self) -> None:
        """The broker has read everything before the PINGREQ."""
        self._proven(self._unproven.ponged())

    def moved(self) -> None:
        """A slow link is neither dead nor stuck."""
        self._progress = self._moved = self._monotonic()

    def lost(self, loss: Disconnection, /) -> None:
        """The connection is gone: everything in flight fails, everybody who waits is told."""
        if self._why is not None:
            return
        text, code = loss.text, loss.code
        if code is None:
            self._why = lambda: ConnectionLost(
                text, retry_after=loss.retry_after, blames=loss.hung_up, learned=self.too_large > 0
            )
        else:
            row = reasons.reaction(reasons.DISCONNECT, code)
            self._why = lambda: reasons.error(row, code, text)
        self._gone.set()
        self._inbox.close()
        self._watchdog.cancel()
        self._make_room()
        why = self._why()
        reason, blames = str(why), isinstance(why, ConnectionLost) and why.blames
        flying, self._flying = [*self._unproven.end(), *self._flying.values()], {}
        most = CLEARLY * max(self._taken_before, self.largest_taken)
        for one in flying:
            one.bundle.fail(ConnectionLost(reason, blames=blames, large=code is None and one.packet.size > most))

    def resize(self, window: int) -> None:
        """Another window from now on."""
        self.limits.window = window
        self._make_room()

    @property
    def largest_flying(self) -> int:
        """Bytes of the largest packet of which nobody knows whether the broker has read it; 0 without any."""
        return max((one.packet.size for one in (*self._flying.values(), *self._unproven)), default=0)

    @property
    def sole(self) -> bool:
        """Whether all that has the largest one's fate is on its topic."""
        return len({whole(one.packet.topic) for one in (*self._flying.values(), *self._unproven)}) == 1

    @property
    def _full(self) -> bool:
        """Where the broker takes QoS 0 only, what is not proven yet fills the window, too."""
        unproven = 0 if self.limits.max_qos else self._unproven.wanted
        return len(self._flying) + unproven >= self.limits.window or self._probing

    # --- writing ------------------------------------------------------------------------------------------------------

    async def _may_write(self) -> None:
        """Return when the next packet may go. Raises why it never will."""
        if (early := self.pace.early(self._monotonic())) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(early):
                    await self._gone.wait()
        while self._why is None and self._full:
            if not self.limits.max_qos:
                self._unproven.ask()
            await self._wait_for_room()
        if self._why is not None:
            raise self._why()

    def _write(self, packet: Packet, payload: bytes, bundle: Bundle[Any]) -> None:
        try:
            mid = self._link.publish(packet, payload)
        except ValueError as error:
            bundle.fail(Rejected(f"{packet.topic}: {error}"))
            return
        self._order += 1
        now = self._monotonic()
        self.pace.sent(now)
        self._flying[mid] = Flying(bundle, packet, now, self._order)
        self._probing = self._wary and packet.size > self._taken_before

    def _proven(self, read: Sequence[Flying]) -> None:
        """The broker has read these, which were only written."""
        for flying in read:
            self.largest_taken = max(self.largest_taken, flying.packet.size)
            if flying.packet.proof:
                flying.bundle.done()
        self._make_room()

    async def _wait_for_room(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
        finally:
            self._room = None

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _watch(self) -> None:
        """An acknowledgement that never comes: answered pings do not excuse it."""
        now, keep_alive = self._monotonic(), self.limits.keep_alive
        again = to_beat(time.monotonic(), min(keep_alive / 2, _LOOK))
        self._watchdog = asyncio.get_running_loop().call_later(again, self._watch)
        oldest = next(iter(self._flying.values()), None)
        if oldest is None:
            return
        answered, proven = self._unproven.answered >= oldest.order, self.largest_taken > 0
        waiting = patience.Unacknowledged(
            oldest.sent, self._progress, self._moved, answered, proven, oldest.packet.topic
        )
        verdict = patience.judge(waiting, now, keep_alive)
        if isinstance(verdict, patience.Given):
            if verdict.too_fast:  # it costs the session: not to be found out anew in the next one
                self.pace.halve(now)
                self.pace.learned = self.pace.rate
            self._link.abort(verdict.text)
        elif verdict == "ask":
            self._link.ping()

    def _taken(self, flying: Flying, code: int, now: float) -> None:
        packet = flying.packet
        self._quotas.taken(packet.topic, now)
        self.largest_taken = max(self.largest_taken, packet.size)
        if code == 0x10:
            self._unheard.met(flying)
        flying.bundle.done()
