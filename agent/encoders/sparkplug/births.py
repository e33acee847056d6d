"""The devices of the node: born, dead, or kept from being born. What is older than a birth is history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agent.core.errors import Rejected
from agent.core.flow import Message, Reading, Stream
from agent.core.image import DeviceImage, Image
from agent.core.ports import Memo, RouteInfo
from agent.encoders.sparkplug.metrics import Aliases, Born, LearnedTypes, Misfit
from agent.encoders.sparkplug.node import Node
from agent.encoders.sparkplug.payloads import Payloads
from agent.encoders.sparkplug.voice import Voice
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("sparkplug")

#: DDEATH of a device that is offline is published after its history and so many ticks without a record.
_PASSED = 5


class Births:
    """Of one session."""

    def __init__(
        self, node: Node, route: RouteInfo, image: Image, memo: Memo, *, aliases: Aliases, voice: Voice,
        payloads: Payloads,
    ) -> None:  # fmt: skip
        self.in_force: dict[str, Born] = {}  #: by device
        self.waiting: dict[str, None] = {}  #: devices whose birth is withheld, in the order they came to it
        self._node = node
        self._route = route
        self._image = image
        self._aliases = aliases
        self._learned = LearnedTypes(memo)
        self._voice = voice
        self._payloads = payloads
        self._now_ms = route.clock.now_ms
        self._streams: dict[str, Stream] = {}  # this run's, by device
        self._withheld: Callable[[str], bool] = lambda _topic: False  # topics at which the broker disconnects
        self._repeats = Repeats()

    def note(self, streams: Iterable[Stream]) -> None:
        """Where the streams of the devices stand: what comes after is younger than a birth said now."""
        # several epochs of a device: the present one is the last
        self._streams.update((stream.device, stream) for stream in streams)

    # --- all of them --------------------------------------------------------------------------------------------------

    def anew(self, waiting: set[str]) -> list[Message]:
        """All births. Those of devices that are offline, too, for what they have to tell: records of `waiting`."""
        self.in_force.clear()
        self.waiting.clear()
        devices = [device for name, device in self._image.devices.items() if self._route.wants(name)]
        messages = [message for device in devices for message in self.birth(device)]
        silent = [one.name for one in devices if one.state == "offline" and one.name not in waiting]
        return [*messages, *(self.death(name) for name in silent if name in self.in_force)]

    def deaths(self) -> list[Message]:
        """Of all that are born."""
        return [self.death(name) for name in list(self.in_force)]

    def tick(self) -> list[Message]:
        """Deaths of those that were born only for their history, which is told."""
        messages = []
        for born in [born for born in self.in_force.values() if born.passing]:
            born.idle += 1
            if born.idle >= _PASSED:
                messages.append(self.death(born.name))
        return messages

    def withhold(self, holds: Callable[[str], bool]) -> None:
        """Births on topics at which the broker disconnects wait."""
        self._withheld = holds

    def allowed(self) -> list[Message]:
        """Births that waited, and may be said now."""
        messages: list[Message] = []
        for name in [name for name in self.waiting if not self._withheld(self._node.topic("DBIRTH", name))]:
            self.waiting.pop(name, None)
            if (device := self._image.devices.get(name)) is not None and self._route.wants(name):
                messages += self.birth(device)
        return messages

    # --- one of them --------------------------------------------------------------------------------------------------

    def changed(self, name: str) -> list[Message]:
        """A device has changed, has gone or has come: its birth or its death, where hosts have to be told."""
        device, born = self._image.devices.get(name), self.in_force.get(name)
        if device is None or not self._route.wants(name):
            return [] if born is None else [self.death(name)]
        if device.state == "offline":
            return [] if born is None or born.passing else [self.death(name)]
        if born is not None and not born.passing and born.tags is device.tags:
            return []
        return self.birth(device)

    def birth(self, device: DeviceImage) -> list[Message]:
        """DBIRTH; what is older than this moment is history from now on. Nothing where it exceeds the limit, or the
        broker disconnects at it.
        """
        if self._withheld(self._node.topic("DBIRTH", device.name)):
            self.waiting[device.name] = None
            self.in_force.pop(device.name, None)
            return []
        now = self._now_ms()
        born = self._bear(device)
        while misfits := born.misfits(device.newest.values()):
            self._grow(device, misfits)
            born = self._bear(device)
        payload = self._payloads.device_birth(device, born, self._voice.seq, now)
        born.passing = device.state == "offline"
        stream = self._streams.get(device.name)
        born.floor = 0 if stream is None else stream.next
        if len(payload) > self._voice.room("DBIRTH", device.name):
            if (repeats := self._repeats.due(("too large", device.name), self._route.clock.monotonic())) is not None:
                where = {"device": device.name, "bytes": len(payload), "limit": self._voice.limit}
                log.error("sparkplug.birth_too_large", **where, repeats=repeats)
            self.in_force.pop(device.name, None)
            return []
        self.in_force[device.name] = born
        self._image.told(device.name, now)
        return [self._voice.message("DBIRTH", payload, device.name, data=True)]

    def _bear(self, device: DeviceImage) -> Born:
        return Born(device, self._aliases, self._learned, uint32_long=self._node.uint32_long)

    def widen(self, device: DeviceImage, readings: Iterable[Reading]) -> list[Message]:
        """A new birth, with types that these readings fit. Raises Rejected where there are none."""
        self._grow(device, self.in_force[device.name].misfits(readings))
        return self.birth(device)

    def _grow(self, device: DeviceImage, misfits: Sequence[Misfit]) -> None:
        """The types of these values grow; all of them at once, so that one birth is enough."""
        grown = self._learned.widen(device, misfits)
        if not grown:
            tags = ", ".join(misfit.tag for misfit in misfits[:5])
            raise Rejected(f"nobody can say what {device.name} holds: {tags}")
        tag, kind = next(iter(grown.items()))
        log.info("sparkplug.type_learned", device=device.name, tags=len(grown), tag=tag, type=kind.name)

    def death(self, name: str) -> Message:
        """DDEATH."""
        self.in_force.pop(name, None)
        return self._voice.message("DDEATH", self._payloads.device_death(self._voice.seq, self._now_ms()), name)
