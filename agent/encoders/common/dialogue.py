"""What the `json` encoder says during one broker session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from agent.core.clock import SystemClock
from agent.core.flow import (
    Batch,
    DeviceChanged,
    DialogueEvent,
    Gap,
    Incoming,
    Limits,
    Message,
    Offline,
    Online,
    Record,
    Stream,
    Tick,
)
from agent.core.ids import ulid
from agent.core.image import Image
from agent.core.ports import Memo, RouteInfo
from agent.encoders.json import retained
from agent.encoders.json.messages import AgentStatus, AgentWill, StreamStatus
from agent.encoders.json.records import RecordEncoder, encode
from agent.encoders.json.topics import Topics
from agent.telemetry.logging import get_logger

log = get_logger("encoder")

_INT64 = ("int64", "uint64")
_now_ms = SystemClock().now_ms


class JsonEncoder:
    """See `agent.core.ports.Encoder`."""

    snapshots = True
    tick: float | None = 30.0

    def __init__(
        self,
        route: RouteInfo,
        *,
        int64: Literal["number", "string"] = "number",
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self._route = route
        self._int64 = int64
        self._now_ms = now_ms

    def begin(self, image: Image, memo: Memo, /) -> JsonDialogue:
        return JsonDialogue(self._route, image, memo, session=ulid(self._now_ms()), int64=self._int64)


class _Heard(Struct):
    """What matters in a status of an agent."""

    state: str = ""
    session: str = ""


class JsonDialogue:
    """See `agent.core.ports.Dialogue`. `session` names it in every status it writes."""

    def __init__(
        self, route: RouteInfo, image: Image, memo: Memo, *, session: str, int64: Literal["number", "string"]
    ) -> None:
        self.session = session
        self.conflict: str | None = None  #: session of another agent that writes our status
        self._route = route
        self._image = image
        self._topics = topics = Topics(route, memo)
        topics.place(image)
        self._limits: Limits | None = None
        self._records = self._record_encoder(route, int64, route.max_message_bytes)
        self._int64: Literal["number", "string"] = int64
        self._catalogues: dict[str, object] = {}  # what was said last, by device
        self._wide_tags: dict[str, tuple[object, frozenset[str]]] = {}  # by device: catalogue, tags
        self.will: Message | None = Message(
            topic=topics.agent_status, payload=encode(AgentWill("offline", session)), retain=True
        )
        self.listens: Sequence[str] = (topics.agent_status,)

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        match event:
            case Record(content=Batch() as batch):
                return self._records.readings(event, batch)
            case Record(content=Gap() as gap):
                return self._records.gap(gap)
            case DeviceChanged():
                return self._device(event.device, event.ts)
            case Tick():
                self._topics.settle({stream.device for stream in event.streams})
                return [self._agent("online", event.ts, event.streams)]
            case Online():
                return self._online(event)
            case Offline():
                return [self._agent("offline", event.ts, event.streams)]
            case Incoming():
                self._heard(event)
        return []

    def _record_encoder(self, route: RouteInfo, int64: Literal["number", "string"], limit: int) -> RecordEncoder:
        return RecordEncoder(
            route.agent, qos=route.qos, limit=limit, prefix=self._topics.prefix, int64=int64, wide=self._wide
        )

    def _online(self, event: Online) -> list[Message]:
        self._limits = event.limits
        self._records = self._record_encoder(self._route, self._int64, self._limit)
        messages = [self._agent("online", event.ts, event.streams)]
        self._topics.place(self._image)
        messages += self._clear_orphans(event.ts)
        for name in self._image.devices:
            if self._route.wants(name):
                messages += self._device(name, event.ts)
        return messages

    @property
    def _limit(self) -> int:
        """Bytes of a whole packet."""
        theirs = self._limits.max_packet_bytes if self._limits is not None else None
        return min(self._route.max_message_bytes, theirs or self._route.max_message_bytes)

    def _wide(self, name: str) -> frozenset[str]:
        """Tags of the device that are 64-bit integers by its catalogue."""
        device = self._image.devices.get(name)
        if device is None:
            return frozenset()
        known, tags = self._wide_tags.get(name, (None, frozenset()))
        if known is not device.tags:
            tags = frozenset(info.tag for info in device.tags if (info.type or "").lower().startswith(_INT64))
            self._wide_tags[name] = device.tags, tags
        return tags

    # --- status and catalogue -----------------------------------------------------------------------------------------

    def _agent(self, state: Literal["online", "offline"], ts: int, streams: Sequence[Stream]) -> Message:
        about = self._image.agent
        status = AgentStatus(
            state=state,
            session=self.session,
            version=about.version,
            mqtt=self._limits.mqtt if self._limits is not None else "5",
            config=about.config,
            # several epochs of a device: the present one is the last
            streams={stream.device: StreamStatus(stream.epoch, stream.low, stream.next) for stream in streams},
            ts=ts,
        )
        return retained.message(self._topics.agent_status, encode(status))

    def _device(self, name: str, ts: int) -> list[Message]:
        device = self._image.devices.get(name)
        if device is None or not self._route.wants(name):
            return self._clear_orphans(ts)
        prefix = self._topics.place_one(self._image, name)
        self._records.moved(name)
        messages = self._clear_orphans(ts)
        messages.append(retained.status(prefix, device, self.session))
        catalogue = (prefix, device.cat, device.tags)
        if self._catalogues.get(name) != catalogue:
            self._catalogues[name] = catalogue
            kept = self._topics.kept[prefix]
            parts, before = retained.catalogue(prefix, device, self._limit), kept.parts
            kept.parts = len(parts) - 1
            messages += parts
            messages += [retained.empty(f"{prefix}/tags/{i}") for i in range(len(parts), before + 1)]
        self._topics.save()
        return messages

    def _clear_orphans(self, ts: int) -> list[Message]:
        """Say `removed` of what is no longer configured, then empty its retained topics."""
        messages: list[Message] = []
        for prefix in list(self._topics.orphans(self._image)):
            kept = self._topics.cleared(prefix)
            messages += retained.removed(prefix, kept.parts, self.session, ts)
            self._records.moved(kept.device)
            self._catalogues.pop(kept.device, None)
            if kept.device not in self._image.devices:
                log.info("device.removed", device=kept.device)
        return messages

    # --- another agent under our name ---------------------------------------------------------------------------------

    def _heard(self, incoming: Incoming) -> None:
        # what was retained before we came is our own past, or that of one who will speak again
        if incoming.retain or incoming.topic != self._topics.agent_status:
            return
        try:
            heard = msgspec.json.decode(incoming.payload, type=_Heard)
        except msgspec.DecodeError:
            return
        if heard.state == "online" and heard.session != self.session and self.conflict is None:
            self.conflict = heard.session
            log.error("route.conflict", agent=self._route.agent, topic=incoming.topic, session=heard.session)
