"""Data of the node: records of its devices as DDATA, and declared losses as NDATA."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.errors import Refused, Rejected
from agent.core.flow import Batch, Gap, Message, Reading, Record
from agent.core.image import DeviceImage, Image
from agent.core.ports import RouteInfo
from agent.encoders.sparkplug.births import Births
from agent.encoders.sparkplug.datatypes import UnfitValueError
from agent.encoders.sparkplug.gaps import DeclaredLosses, unsaid
from agent.encoders.sparkplug.metrics import Aliases, Born
from agent.encoders.sparkplug.node import GAP, Node
from agent.encoders.sparkplug.payloads import Payloads
from agent.encoders.sparkplug.voice import Voice
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("sparkplug")

#: Data of a device at whose birth the broker disconnects is offered again so many seconds later: each try is a birth.
WITHHELD = 600.0


class DataMessages:
    """Of one session."""

    def __init__(
        self, node: Node, route: RouteInfo, image: Image, *, births: Births, losses: DeclaredLosses, aliases: Aliases,
        voice: Voice, payloads: Payloads,
    ) -> None:  # fmt: skip
        self._node = node
        self._route = route
        self._image = image
        self._births = births
        self._losses = losses
        self._aliases = aliases
        self._voice = voice
        self._payloads = payloads
        self._now_ms = route.clock.now_ms
        self._repeats = Repeats()

    def record(self, record: Record, batch: Batch) -> list[Message]:
        """The record, with the birth of its device in front where one is due. Raises Rejected, Refused."""
        device = self._image.devices.get(batch.device)
        if device is None or not self._route.wants(batch.device):
            raise Rejected(f"device {batch.device} is not configured any more: nothing can be said of it")
        if not record.historical:
            self._births.note([record.stream])
        seq, born = self._voice.seq, self._births.in_force.get(batch.device)
        standing = {} if born is None else born.standing
        try:
            return self._say(record, batch, device)
        except Rejected:  # nothing of it is sent: no number is used up, no birth is in force, nothing is published
            self._voice.seq = seq
            if born is None or self._births.in_force.get(batch.device) is not born:
                self._births.in_force.pop(batch.device, None)
            else:
                born.standing = standing
            raise

    def _say(self, record: Record, batch: Batch, device: DeviceImage) -> list[Message]:
        messages: list[Message] = []
        if batch.device in self._births.waiting:
            topic = self._node.topic("DBIRTH", batch.device)
            reason = (
                f"the broker disconnects at {topic}: its data waits -> check the broker's access rules for this topic"
            )
            raise Refused(reason, retry_after=WITHHELD)
        born = self._births.in_force.get(batch.device)
        if born is None or born.tags is not device.tags:
            if device.state == "offline" and not record.historical and batch.bad == len(batch.readings):
                return []  # the death of the device says it
            self._image.settle()
            messages += self._births.birth(device)
        while (born := self._births.in_force.get(batch.device)) is not None:
            born.idle = 0
            seq = self._voice.seq
            historical = record.historical or batch.backfill or record.seq < born.floor
            room = self._voice.room("DDATA", batch.device)
            part = room - self._voice.limit + (self._voice.limits.part_bytes or self._voice.limit)
            try:
                pieces, unknown = self._pieces(born, batch.readings, historical=historical, room=room, part=part)
                return [*messages, *pieces, *(self._unsaid(born, record, batch) if unknown else ())]
            except UnfitValueError:
                self._voice.seq = seq
                messages += self._births.widen(device, batch.readings)
        raise Rejected(f"the birth of {batch.device} is larger than the broker takes ({self._voice.limit} bytes)")

    def _pieces(
        self, born: Born, readings: Sequence[Reading], *, historical: bool, room: int, part: int
    ) -> tuple[list[Message], int]:
        """One DDATA, or several where the broker's limit asks for it; and how many readings have no metric."""
        now = self._now_ms()
        payload, unknown, standing = self._payloads.data(
            born, readings, historical=historical, seq=self._voice.seq, now=now
        )
        if unknown == len(readings):
            return [], unknown
        if len(payload) > room and len(readings) == 1:
            raise Rejected(f"tag {readings[0].tag}: {len(payload)} bytes are more than the broker takes ({room})")
        if len(payload) > part and len(readings) > 1:
            half = len(readings) // 2
            first, some = self._pieces(born, readings[:half], historical=historical, room=room, part=part)
            second, others = self._pieces(born, readings[half:], historical=historical, room=room, part=part)
            return first + second, some + others
        born.standing = standing
        return [self._voice.message("DDATA", payload, born.name, data=True)], unknown

    def _unsaid(self, born: Born, record: Record, batch: Batch) -> list[Message]:
        """Readings of tags that are no longer configured are lost, which is declared like any loss."""
        lost = [reading for reading in batch.readings if reading.tag not in born.slots]
        if (repeats := self._repeats.due(("unknown", born.name), self._route.clock.monotonic())) is not None:
            log.warning("sparkplug.unknown_metric", device=born.name, readings=len(lost), repeats=repeats)
        return self.gap(unsaid(record, lost))

    def gap(self, gap: Gap) -> list[Message]:
        """A declared loss: the newest value of a metric of the node, so that hosts can show and keep it."""
        now = self._now_ms()
        text = self._losses.declare(gap, self._voice.room("NDATA") - 64, now)
        payload = self._payloads.node_gap(self._aliases.of(None, GAP), text, self._voice.seq, now)
        return [self._voice.message("NDATA", payload, data=True)]
