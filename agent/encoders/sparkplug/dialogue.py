"""What the edge node says during one broker session.

    CONNECT, NDEATH as will ─ (primary host online?) ─ cut: NBIRTH, DBIRTHs ─ DDATA, NDATA ... ─ DDEATHs, NDEATH

The order of calls is the order on the wire (`Stateful`), so one counter gives every message its seq. What is older
than the birth of its device is history, whichever lane it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.core.errors import Refused, Rejected
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
    Reading,
    Record,
    Stream,
    Tick,
    Withheld,
)
from agent.core.image import DeviceImage, Image
from agent.core.ports import Course, Memo, RouteInfo
from agent.encoders.sparkplug.datatypes import UnfitError
from agent.encoders.sparkplug.ears import Ears
from agent.encoders.sparkplug.gaps import Losses, unsaid
from agent.encoders.sparkplug.host import PrimaryHost
from agent.encoders.sparkplug.metrics import Aliases, Born, Learned, Misfit
from agent.encoders.sparkplug.node import GAP, VERSION, Node
from agent.encoders.sparkplug.payloads import Payloads
from agent.encoders.sparkplug.voice import Voice
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("sparkplug")

_BDSEQ = "sparkplug.bdseq"
#: A device that is offline and has told its history is said dead after so many ticks without a record.
_PASSED = 5
#: So many ticks a server is given to say something of the primary host, where it may be at another one.
_PATIENCE = 30
#: Data of a device whose birth the broker hangs up on is offered again so late, seconds: each time is a new birth.
WITHHELD = 600.0


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
        self._learned = Learned(memo)
        self._losses = Losses(memo, route.agent)
        self._payloads = Payloads(uint32_long=node.uint32_long, typed_data=node.typed_data)
        self._ears = Ears(node, host, route.clock)
        self._now_ms = route.clock.now_ms
        self._voice = Voice(node)
        self._streams: dict[str, Stream] = {}  # this run's, by device
        self._open = False  # the node is born
        self._born: dict[str, Born] = {}
        self._withheld: Callable[[str], bool] = lambda _topic: False  # topics that the broker hangs up on
        self._waiting: dict[str, None] = {}  # devices whose birth is withheld, in the order they came to it
        self._waited = 0  # ticks without a word of the primary host that counts
        self._reason = "connected"
        self._repeats = Repeats()

    def connecting(self) -> Message:
        last = self._memo.get(_BDSEQ)
        self.bdseq = (int(last) + 1) % 256 if last is not None and last.isdigit() else 0
        self._memo.put(_BDSEQ, b"%d" % self.bdseq)
        return self._node_death()

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        match event:
            case Record(content=Batch() as batch):
                return self._record(event, batch)
            case Record(content=Gap() as gap):
                return self._gap(gap)
            case DeviceChanged() if self._open:
                return self._changed(event)
            case Tick():
                return self._tick(event)
            case Online():
                self._online(event)
            case Opening():
                return self._opening(event)
            case Incoming():
                self._heard(event)
            case Withheld():
                return self._allowed(event)
            case Offline():
                return self._goodbye()
        return []

    # --- the session --------------------------------------------------------------------------------------------------

    def _online(self, event: Online) -> None:
        self._voice.limits = event.limits
        self._ears.server = event.limits.server
        if self._node.strict:
            # a host that dies is noticed within one and a half keep-alives; what it missed is said again
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
        self._note(event.streams)
        if self._open and self.course == "hold" and self._ears.may_answer():
            self.course = "open"
        elif not self._open and self.course == "hold" and self._voice.limits.servers > 1:
            self._waited += 1
            if self._waited >= _PATIENCE:
                self.why = f"nothing is heard of the primary host {self._node.primary_host} here"
                self.course = "leave"
        if self.course != "flow":
            return []
        messages = []
        for born in [born for born in self._born.values() if born.passing]:
            born.idle += 1
            if born.idle >= _PASSED:
                messages.append(self._device_death(born.name))
        return messages

    def _opening(self, event: Opening) -> list[Message]:
        """NBIRTH and the births of all devices. Devices that are offline are born, too, for what they have to tell."""
        now = self._now_ms()
        self._note(event.streams)
        self._voice.seq, self._open, self.course, self.why = 0, True, "flow", ""
        self._born.clear()
        self._waiting.clear()
        self._ears.answered()
        numbers = {name: self._aliases.of(None, name) for name in (GAP, VERSION)}
        birth = self._payloads.node_birth(self.bdseq, self._image.agent.version, numbers, self._losses.last(), now)
        messages = [self._voice.message("NBIRTH", birth, data=True)]
        devices = [device for name, device in self._image.devices.items() if self._route.wants(name)]
        for device in devices:
            messages += self._birth(device)
        waiting = {stream.device for stream in event.streams if stream.low < stream.next}
        for device in devices:
            if device.state == "offline" and device.name not in waiting and device.name in self._born:
                messages.append(self._device_death(device.name))
        metrics = sum(len(born.slots) for born in self._born.values())
        reason, self._reason = self._reason, "rebirth"
        log.info("sparkplug.born", reason=reason, bdseq=self.bdseq, devices=len(devices), metrics=metrics)
        return messages

    def _goodbye(self) -> list[Message]:
        if not self._open:
            return []
        self._open = False
        return [*(self._device_death(name) for name in list(self._born)), self._node_death()]

    def _node_death(self) -> Message:
        payload = self._payloads.node_death(self.bdseq, self._now_ms())
        return Message(topic=self._node.topic("NDEATH"), payload=payload, qos=1)

    def _allowed(self, event: Withheld) -> list[Message]:
        """Births that the broker hung up on wait; those that may be said now are."""
        self._withheld = event.holds
        if not self._open or self.course != "flow":
            return []
        messages: list[Message] = []
        for name in [name for name in self._waiting if not event.holds(self._node.topic("DBIRTH", name))]:
            self._waiting.pop(name, None)
            if (device := self._image.devices.get(name)) is not None and self._route.wants(name):
                messages += self._birth(device)
        return messages

    # --- devices ------------------------------------------------------------------------------------------------------

    def _changed(self, event: DeviceChanged) -> list[Message]:
        self._image.settle()  # what is held back is older than a birth made now
        self._note(event.streams)
        device, born = self._image.devices.get(event.device), self._born.get(event.device)
        if device is None or not self._route.wants(event.device):
            return [] if born is None else [self._device_death(event.device)]
        if device.state == "offline":
            if born is None or born.passing:
                return []
            return [self._device_death(event.device)]
        if born is not None and not born.passing and born.tags is device.tags:
            return []
        return self._birth(device)

    def _note(self, streams: Sequence[Stream]) -> None:
        # several epochs of a device: the present one is the last
        self._streams.update((stream.device, stream) for stream in streams)

    def _birth(self, device: DeviceImage) -> list[Message]:
        """DBIRTH; what is older than this moment is history from now on. Nothing where it exceeds the limit, or the
        broker hangs up on it.
        """
        if self._withheld(self._node.topic("DBIRTH", device.name)):
            self._waiting[device.name] = None
            self._born.pop(device.name, None)
            return []
        now = self._now_ms()
        born = self._bear(device)
        while misfits := born.misfits(device.newest.values()):
            self._widen(device, misfits)
            born = self._bear(device)
        payload = self._payloads.device_birth(device, born, self._voice.seq, now)
        born.passing = device.state == "offline"
        stream = self._streams.get(device.name)
        born.floor = 0 if stream is None else stream.next
        if len(payload) > self._voice.room("DBIRTH", device.name):
            repeats = self._repeats.due(("too large", device.name), self._route.clock.monotonic())
            if repeats is not None:
                where = {"device": device.name, "bytes": len(payload), "limit": self._voice.limit}
                log.error("sparkplug.birth_too_large", **where, repeats=repeats)
            self._born.pop(device.name, None)
            return []
        self._born[device.name] = born
        self._image.told(device.name, now)
        return [self._voice.message("DBIRTH", payload, device.name, data=True)]

    def _bear(self, device: DeviceImage) -> Born:
        return Born(device, self._aliases, self._learned, uint32_long=self._node.uint32_long)

    def _widen(self, device: DeviceImage, misfits: Sequence[Misfit]) -> None:
        """The types of these values grow; all of them at once, so that one birth is enough."""
        grown = self._learned.widen(device, misfits)
        if not grown:
            tags = ", ".join(misfit.tag for misfit in misfits[:5])
            raise Rejected(f"nobody can say what {device.name} holds: {tags}")
        tag, kind = next(iter(grown.items()))
        log.info("sparkplug.type_learned", device=device.name, tags=len(grown), tag=tag, type=kind.name)

    def _device_death(self, name: str) -> Message:
        self._born.pop(name, None)
        return self._voice.message("DDEATH", self._payloads.device_death(self._voice.seq, self._now_ms()), name)

    # --- records ------------------------------------------------------------------------------------------------------

    def _record(self, record: Record, batch: Batch) -> list[Message]:
        device = self._image.devices.get(batch.device)
        if device is None or not self._route.wants(batch.device):
            raise Rejected(f"device {batch.device} is not configured any more: nothing can be said of it")
        if not record.historical:
            self._streams[batch.device] = record.stream
        seq, born = self._voice.seq, self._born.get(batch.device)
        standing = {} if born is None else born.standing
        try:
            return self._say(record, batch, device)
        except Rejected:  # nothing of it is sent: no number is used up, no birth is in force, nothing is said
            self._voice.seq = seq
            if born is None or self._born.get(batch.device) is not born:
                self._born.pop(batch.device, None)
            else:
                born.standing = standing
            raise

    def _say(self, record: Record, batch: Batch, device: DeviceImage) -> list[Message]:
        messages: list[Message] = []
        if batch.device in self._waiting:
            topic = self._node.topic("DBIRTH", batch.device)
            raise Refused(f"the broker hangs up on {topic}: its data waits", retry_after=WITHHELD)
        born = self._born.get(batch.device)
        if born is None or born.tags is not device.tags:
            if device.state == "offline" and not record.historical and batch.bad == len(batch.readings):
                return []  # the death of the device says it
            self._image.settle()
            messages += self._birth(device)
        while (born := self._born.get(batch.device)) is not None:
            born.idle = 0
            seq = self._voice.seq
            historical = record.historical or batch.backfill or record.seq < born.floor
            room = self._voice.room("DDATA", batch.device)
            try:
                pieces, unknown = self._pieces(born, batch.readings, historical=historical, room=room)
                return [*messages, *pieces, *(self._unsaid(born, record, batch) if unknown else ())]
            except UnfitError:
                self._voice.seq = seq
                self._widen(device, born.misfits(batch.readings))
                messages += self._birth(device)
        raise Rejected(f"the birth of {batch.device} is larger than the broker takes ({self._voice.limit} bytes)")

    def _pieces(
        self, born: Born, readings: Sequence[Reading], *, historical: bool, room: int
    ) -> tuple[list[Message], int]:
        """One DDATA, or several where the broker's limit asks for it; and how many readings have no metric."""
        now = self._now_ms()
        payload, unknown, standing = self._payloads.data(
            born, readings, historical=historical, seq=self._voice.seq, now=now
        )
        if unknown == len(readings):
            return [], unknown
        if len(payload) > room:
            if len(readings) == 1:
                raise Rejected(f"tag {readings[0].tag}: {len(payload)} bytes are more than the broker takes ({room})")
            half = len(readings) // 2
            first, some = self._pieces(born, readings[:half], historical=historical, room=room)
            second, others = self._pieces(born, readings[half:], historical=historical, room=room)
            return first + second, some + others
        born.standing = standing
        return [self._voice.message("DDATA", payload, born.name, data=True)], unknown

    def _unsaid(self, born: Born, record: Record, batch: Batch) -> list[Message]:
        """Readings of tags that are no longer configured are lost, which is declared like any loss."""
        lost = [reading for reading in batch.readings if reading.tag not in born.slots]
        repeats = self._repeats.due(("unknown", born.name), self._route.clock.monotonic())
        if repeats is not None:
            log.warning("sparkplug.unknown_metric", device=born.name, readings=len(lost), repeats=repeats)
        return self._gap(unsaid(record, lost))

    def _gap(self, gap: Gap) -> list[Message]:
        """A declared loss: the newest value of a metric of the node, so that hosts can show and keep it."""
        now = self._now_ms()
        text = self._losses.declare(gap, self._voice.room("NDATA") - 64, now)
        payload = self._payloads.node_gap(self._aliases.of(None, GAP), text, self._voice.seq, now)
        return [self._voice.message("NDATA", payload, data=True)]
