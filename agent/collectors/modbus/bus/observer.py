"""What a bus notices beside the answers: late ones, a gateway that is held up, another master.

It says so once, and adds to the reason of a silence what the agent knows about its cause.
"""

from __future__ import annotations

from agent.collectors.modbus.bus.gateway import NOT_THERE
from agent.collectors.modbus.bus.patience import Patience
from agent.collectors.modbus.bus.sharing import SharedBus
from agent.collectors.modbus.bus.standing import UnitStanding
from agent.collectors.modbus.bus.transaction import HalfAnswer, LateAnswer, NoAnswer, ReadRequest, Wire
from agent.core.clock import Clock
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

_REMEMBERED = 600.0  #: seconds for which a late answer explains a silence of its unit

log = get_logger("modbus")


class Observer:
    """Of one bus, over all its connections."""

    def __init__(self, name: str, clock: Clock, standing: UnitStanding) -> None:
        self.patience = Patience()
        self.doubt: str | None = None  #: why an answer may be meant for somebody else
        self._name = name
        self._clock = clock
        self._standing = standing
        self._sharing = SharedBus()
        self._late: dict[int, tuple[float, float]] = {}  #: unit → seconds its answer took, when it came
        self._repeats = Repeats()

    @property
    def shared(self) -> str | None:
        """Another master talks on the bus: why its devices are degraded."""
        return self.doubt if self._sharing.shared else None

    def look(self, wire: Wire) -> None:
        """Something came beside an answer, or what was said earlier may be over."""
        now = self._clock.monotonic()
        self._take_late(wire, now)
        self._look_for_strangers(wire, now)
        doubled, wire.doubled = wire.doubled, 0
        if doubled and (repeats := self._repeats.due("doubled", now)) is not None:
            log.info("modbus.answer_doubled", bus=self._name, repeats=repeats)

    def answered(self, unit: int, wanted: float, asked_at: float) -> None:
        """An answer that names its request has come, in the time it was given."""
        self._teach(self.patience.answered(unit, asked_at, wanted, self._clock.monotonic()))

    def silence(
        self, fault: NoAnswer, wire: Wire, unit: int, request: ReadRequest, asked_at: float, *, deaf: bool
    ) -> NoAnswer:
        """No answer has come: the error with what is known of the cause."""
        now = self._clock.monotonic()
        self._take_late(wire, now)
        self._look_for_strangers(wire, now)
        if wire.numbered:
            self.patience.silent(unit, asked_at, request.timeout, now)
        took, when = self._late.get(unit, (0.0, 0.0))
        if took > request.timeout and now - when < _REMEMBERED:
            return NoAnswer(f"{fault.reason}; an answer came {took:.1f} s after its request, raise `timeout`")
        if deaf and not isinstance(fault, HalfAnswer):
            return NoAnswer(
                f"{fault.reason}, nor to anything since the connection was made "
                "(some devices need `workarounds: {pause_after_connect: 2s}`)"
            )
        return fault

    def _take_late(self, wire: Wire, now: float) -> None:
        late, wire.late[:] = list(wire.late), []
        for answer in late:
            self._teach(self.patience.came_late(answer))
            if answer.code not in NOT_THERE:
                self._standing.answered(answer.unit, 0.0)
            if not answer.code:
                self._late[answer.unit] = answer.seconds, now
                self._say_late(answer, now)

    def _say_late(self, answer: LateAnswer, now: float) -> None:
        if (repeats := self._repeats.due(("late", answer.unit), now)) is not None:
            took = round(answer.seconds, 2)
            log.warning("modbus.answer_late", bus=self._name, unit=answer.unit, took_s=took, repeats=repeats)

    def _teach(self, seconds: float | None) -> None:
        if seconds is not None:
            log.warning("modbus.gateway_slow", bus=self._name, waits_s=round(seconds, 1))

    def _look_for_strangers(self, wire: Wire, now: float) -> None:
        strangers, wire.strangers[:] = list(wire.strangers), []
        changed = self._sharing.look(strangers, now)
        self.doubt = self._sharing.doubt(now)
        if changed and self._sharing.shared:
            log.warning("modbus.bus_shared", bus=self._name)
        elif changed:
            log.info("modbus.bus_alone", bus=self._name)
        elif strangers and not self._sharing.shared and (repeats := self._repeats.due("stranger", now)) is not None:
            log.info("modbus.frame_unasked", bus=self._name, repeats=repeats)
