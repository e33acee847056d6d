"""What the edge node says during one broker session.

    CONNECT, NDEATH as will ─ (primary host online?) ─ cut: NBIRTH, DBIRTHs ─ DDATA, NDATA ... ─ DDEATHs, NDEATH

The order of calls is the order on the wire (`Stateful`), so one counter (voice.py) gives every message its seq. Births
and deaths of devices are in births.py, their records in data.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.flow import (
    Batch,
    DeviceChanged,
    DialogueEvent,
    Gap,
    Incoming,
    Message,
    Offline,
    Online,
    Opening,
    Record,
    Tick,
    Withheld,
)
from agent.core.image import Image
from agent.core.ports import Course, Memo, RouteInfo
from agent.encoders.sparkplug.births import Births
from agent.encoders.sparkplug.data import DataMessages
from agent.encoders.sparkplug.ears import Ears
from agent.encoders.sparkplug.gaps import DeclaredLosses
from agent.encoders.sparkplug.host import PrimaryHost
from agent.encoders.sparkplug.metrics import Aliases
from agent.encoders.sparkplug.node import GAP, VERSION, Node
from agent.encoders.sparkplug.payloads import Payloads
from agent.encoders.sparkplug.voice import Voice
from agent.telemetry.logging import get_logger

log = get_logger("sparkplug")

_BDSEQ = "sparkplug.bdseq"
#: So many ticks a server is given to say something of the primary host, where it may be at another one.
_PATIENCE = 30


class SparkplugDialogue:
    """See `agent.core.ports.Stateful`."""

    def __init__(
        self, node: Node, route: RouteInfo, image: Image, memo: Memo, *, aliases: Aliases,
        host: PrimaryHost | None,
    ) -> None:  # fmt: skip
        self.will: Message | None = None  # made at every CONNECT
        self.listens: Sequence[str] = node.listens
        self.course: Course = "hold"
        self.why = ""
        self.linger = 0.0
        self.bdseq = 0  #: of the newest CONNECT
        self._node = node
        self._route = route
        self._image = image
        self._memo = memo
        self._aliases = aliases
        self._losses = DeclaredLosses(memo, route.agent)
        self._payloads = payloads = Payloads(uint32_long=node.uint32_long, typed_data=node.typed_data)
        self._ears = Ears(node, host, route.clock)
        self._now_ms = route.clock.now_ms
        self._voice = voice = Voice(node)
        self._births = births = Births(node, route, image, memo, aliases=aliases, voice=voice, payloads=payloads)
        self._data = DataMessages(
            node, route, image, births=births, losses=self._losses, aliases=aliases, voice=voice, payloads=payloads
        )
        self._open = False  # the node is born
        self._waited = 0  # ticks without a word of the primary host that counts
        self._reason = "connected"

    def connecting(self) -> Message:
        last = self._memo.get(_BDSEQ)
        self.bdseq = (int(last) + 1) % 256 if last is not None and last.isdigit() else 0
        self._memo.put(_BDSEQ, b"%d" % self.bdseq)
        return self._node_death()

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        match event:
            case Record(content=Batch() as batch):
                return self._data.record(event, batch)
            case Record(content=Gap() as gap):
                return self._data.gap(gap)
            case DeviceChanged() if self._open:
                self._image.settle()  # what is held back is older than a birth made now
                self._births.note(event.streams)
                return self._births.changed(event.device)
            case Tick():
                return self._tick(event)
            case Online():
                self._online(event)
            case Opening():
                return self._opening(event)
            case Incoming():
                self._heard(event)
            case Withheld():
                self._births.withhold(event.holds)
                return self._births.allowed() if self._open and self.course == "flow" else []
            case Offline():
                return self._goodbye()
        return []

    # --- the session --------------------------------------------------------------------------------------------------

    def _online(self, event: Online) -> None:
        self._voice.limits = event.limits
        self._ears.server = event.limits.server
        if self._node.strict:
            # a host that dies is noticed within one and a half keep-alives; what it missed is published again
            self.linger = 2 * event.limits.keep_alive
        if self._node.primary_host is None:
            self.course = "open"
        else:
            self.why = f"the primary host {self._node.primary_host} has not said that it is online"

    def _heard(self, incoming: Incoming) -> None:
        heard = self._ears.hear(incoming)
        if self.course == "leave":
            return
        if heard == "rebirth" and self._open:
            self._reason = "rebirth"
            self.course = "open" if self._ears.may_answer() else "hold"
        elif heard == "online" and not self._open:
            self.course, self.why = "open", ""
        elif heard == "offline":
            self.why = f"the primary host {self._node.primary_host} is offline"
            # without births nothing has to be taken back, but it may be at another server
            self.course = "leave" if self._open or self._voice.limits.servers > 1 else "hold"

    def _tick(self, event: Tick) -> list[Message]:
        self._births.note(event.streams)
        if self._open and self.course == "hold" and self._ears.may_answer():
            self.course = "open"
        elif not self._open and self.course == "hold" and self._voice.limits.servers > 1:
            self._waited += 1
            if self._waited >= _PATIENCE:
                self.why = f"nothing is heard of the primary host {self._node.primary_host} here"
                self.course = "leave"
        return self._births.tick() if self.course == "flow" else []

    def _opening(self, event: Opening) -> list[Message]:
        """NBIRTH and the births of all devices. Devices that are offline are born, too, for what they have to tell."""
        now = self._now_ms()
        self._births.note(event.streams)
        self._voice.seq, self._open, self.course, self.why = 0, True, "flow", ""
        self._ears.answered()
        numbers = {name: self._aliases.of(None, name) for name in (GAP, VERSION)}
        birth = self._payloads.node_birth(self.bdseq, self._image.agent.version, numbers, self._losses.last(), now)
        messages = [self._voice.message("NBIRTH", birth, data=True)]
        messages += self._births.anew({stream.device for stream in event.streams if stream.low < stream.next})
        reason, self._reason = self._reason, "rebirth"
        devices = sum(self._route.wants(name) for name in self._image.devices)
        metrics = sum(len(born.slots) for born in self._births.in_force.values())
        log.info("sparkplug.born", reason=reason, bdseq=self.bdseq, devices=devices, metrics=metrics)
        return messages

    def _goodbye(self) -> list[Message]:
        if not self._open:
            return []
        self._open = False
        return [*self._births.deaths(), self._node_death()]

    def _node_death(self) -> Message:
        payload = self._payloads.node_death(self.bdseq, self._now_ms())
        return Message(topic=self._node.topic("NDEATH"), payload=payload, qos=1)
