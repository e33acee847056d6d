"""The connection of one bus: made when somebody needs it, given up when it is lost or cannot be trusted.

A peer that closes a connection on which it has answered (after each reply, or when idle for a while) is not lost:
the connection is made anew. One that has never answered on a connection may be deaf for a while after it was made:
it is kept for some seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet

from agent.collectors.modbus.bus.manners import Manners
from agent.collectors.modbus.bus.transaction import Wire
from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

_SHARE_SECONDS = 5.0  #: for which a bus with busy devices keeps others from the connection they share
_DEAF_AFTER = 2  #: requests in a row that were ignored; a single one may have met a device asleep
DEAF_SECONDS = 10.0
"""For so long a connection on which nothing was answered yet is kept: some devices are deaf after each connect."""

log = get_logger("modbus")


class Link:
    """Owned by one bus. `wake` is called when others want the connection this one shares with them."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Wire]],
        clock: Clock,
        manners: Manners,
        any_unit: AbstractSet[int],
        wake: Callable[[], None],
    ) -> None:
        self._name = name
        self._connect = connect
        self._clock = clock
        self._manners = manners
        self._any_unit = any_unit
        self._wake = wake
        self.wire: Wire | None = None
        self.attempts = 0  #: to connect, that failed
        self.reason = "not connected yet"
        self._since = 0.0  #: when the connection was made
        self._answers = 0  #: on this connection
        self._unanswered = 0  #: in a row
        self._deaf: Counter[int] = Counter()  #: units that did not answer before anything was answered here
        self._backoff = Backoff(first=0.5, cap=5.0)
        self._not_before = 0.0
        self._said: bool | None = None  #: what the log last said of the connection: up or down
        self._on_purpose = False  #: closed by us, to be opened again when somebody asks
        self._repeats = Repeats()

    @property
    def up(self) -> bool:
        """Whether the connection stands, as far as anybody knows, or is closed on purpose between two cycles."""
        return self._on_purpose if self.wire is None else self.wire.lost is None

    @property
    def proven(self) -> bool:
        """Whether anything was answered on this connection."""
        return self._answers > 0

    @property
    def holds_off(self) -> float:
        """Seconds until a connection may be tried again."""
        return self._not_before - self._clock.monotonic()

    @property
    def deaf_until(self) -> float:
        """Until when (monotonic) a connection is kept on which nothing was answered yet; 0: it is not one."""
        if self.wire is None or self.wire.lost is not None or self.proven or not self._deaf:
            return 0.0
        return self._since + DEAF_SECONDS

    async def get(self, unit: int) -> Wire:
        """The connection, made anew where it is gone. Raises ConnectionLost, at once while backing off."""
        if self.wire is not None:
            lost = self.wire.lost
            if lost is not None:
                self.ended(lost)
            elif not self.wire.renew(unit) or self.deaf_until > self._clock.monotonic():
                return self.wire
            else:
                self.close(on_purpose=True)
        if self.holds_off > 0:
            raise ConnectionLost(self.reason)
        door = self._manners.door
        if door is not None:
            await door.ask(0, self._wake)
        try:
            self.wire = await self._connect()
        except ConnectionLost as fault:
            self.attempts += 1
            self._on_purpose = False
            self._hold_off(fault.reason)
            self._say_down(fault.reason)
            raise
        finally:
            if door is not None and self.wire is None:
                door.leave()
        self.wire.any_unit = self._any_unit
        self._since = self._clock.monotonic()
        self._answers = self._unanswered = 0
        self._on_purpose = False
        self._deaf.clear()
        if self._manners.pause_after_connect:
            await self._clock.sleep(self._manners.pause_after_connect)
        return self.wire

    def answered(self, unit: int) -> None:
        """A unit answered."""
        self._answers += 1
        self._unanswered = 0
        if not self._said:  # only now: a peer may well accept connections and never answer
            self._said = True
            log.info("modbus.connected", bus=self._name)
        if self._deaf:
            times = self._deaf[unit]
            self._deaf.clear()
            if times < _DEAF_AFTER:
                return
            seconds = round(self._clock.monotonic() - self._since, 1)
            if (repeats := self._repeats.due("deaf", self._clock.monotonic())) is not None:
                log.warning("modbus.deaf_after_connect", bus=self._name, seconds=seconds, repeats=repeats)

    def unanswered(self, unit: int) -> None:
        """Nothing was answered in time. After several in a row the connection itself is doubted."""
        self._unanswered += 1
        if not self.proven:
            self._deaf[unit] += 1
        trusted = self._unanswered < self._manners.doubt_after or self.deaf_until > self._clock.monotonic()
        if self.wire is None or self.wire.lost is not None or not trusted:
            self.close(on_purpose=True)

    def ended(self, reason: str) -> None:
        """It is gone. Where something was answered on it, it is simply made anew."""
        if not self.proven:
            self._close()
            self._say_down(reason)
            return
        self.close(on_purpose=True)
        if (repeats := self._repeats.due("ended", self._clock.monotonic())) is not None:
            log.info("modbus.closed_by_peer", bus=self._name, reason=reason, repeats=repeats)

    def failed(self, reason: str) -> None:
        """It was lost in the middle of a transaction."""
        if self.wire is None:
            return
        self._close()
        self._say_down(reason)
        self._hold_off(reason)

    def make_room(self, *, busy: bool) -> None:
        """Leave the door to others that want in: between cycles, or when they have waited for long."""
        door = self._manners.door
        if door is not None and self.wire is not None and door.wanted:
            long = self._clock.monotonic() - self._since > _SHARE_SECONDS
            if long or not busy:
                self.close(on_purpose=True)

    def close(self, *, on_purpose: bool = False) -> None:
        """Close it; `on_purpose`: to be opened again when somebody asks, and not lost in between."""
        self._close()
        self._on_purpose = on_purpose

    def _close(self) -> None:
        wire, self.wire = self.wire, None
        self._on_purpose = False
        self._answers = 0
        if wire is not None:
            wire.close()
            if self._manners.door is not None:
                self._manners.door.leave()

    def _hold_off(self, reason: str) -> None:
        now = self._clock.monotonic()
        self.reason = reason
        self._not_before = now + self._backoff.failed(now - self._since if self._since else 0.0)
        self._since = 0.0

    def _say_down(self, reason: str) -> None:
        if self._said is False:
            return
        repeats = self._repeats.due("down", self._clock.monotonic())
        if repeats is not None:  # else it stays "up" in the log, so that its return is not said either
            self._said = False
            log.warning("modbus.disconnected", bus=self._name, reason=reason, repeats=repeats)
