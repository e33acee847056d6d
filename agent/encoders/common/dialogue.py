"""What an encoder says during one broker session: readings its own way, everything around them the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct, structs

from agent.core.errors import Rejected
from agent.core.flow import (
    AgentChanged,
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
    ResendRequest,
    Stream,
    Tick,
    Withheld,
)
from agent.core.ids import ulid
from agent.core.image import Image
from agent.core.ports import Memo, RouteInfo
from agent.encoders.common import retained
from agent.encoders.common.gaps import gap_message
from agent.encoders.common.messages import AgentStatus, AgentWill, ConfigStatus, EndedStatus, StreamStatus, encode
from agent.encoders.common.newest import RetainedValues
from agent.encoders.common.renderer import MakeRenderer, Renderer, Setting
from agent.encoders.common.topics import Topics, agent_topic
from agent.encoders.common.wire import overhead
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("encoder")

#: In the memo: where the agent's status may be retained.
_STATUS_TOPIC = "agent.status"


#: Ticks in which what is retained about all devices is published again, a share in each: 10 minutes.
SHARES = 20


#: How many parts the streams had at the broker when they were published last.
_PARTS = "agent.streams"
#: A request of a consumer: bytes, numbers it may ask for, and characters of its id.
REQUEST_BYTES, MOST_NUMBERS, MOST_ID = 4096, 10_000, 64


class Rivals:
    """Says that somebody else speaks under our name: at once, then rarely, however often sessions change."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._repeats = Repeats()

    def heard(self, agent: str, topic: str, session: str) -> None:
        """Another agent has written our status."""
        repeats = self._repeats.due("conflict", self._monotonic())
        if repeats is not None:
            log.error("publisher.conflict", agent=agent, topic=topic, session=session, repeats=repeats)


class StatusEncoder:
    """See `agent.core.ports.Encoder`. `make` says how readings are said."""

    snapshots = True
    tick: float | None = 30.0

    def __init__(self, route: RouteInfo, make: MakeRenderer) -> None:
        self._route = route
        self._make = make
        self._rivals = Rivals(route.clock.monotonic)

    def begin(self, image: Image, memo: Memo, /) -> StatusDialogue:
        return StatusDialogue(self._route, image, memo, self._make, rivals=self._rivals)


class _Heard(Struct):
    """What matters in a status of an agent."""

    state: str = ""
    session: str = ""


class StatusDialogue:
    """See `agent.core.ports.Dialogue`."""

    def __init__(
        self,
        route: RouteInfo,
        image: Image,
        memo: Memo,
        make: MakeRenderer,
        *,
        rivals: Rivals,
    ) -> None:
        self._now_ms = route.clock.now_ms
        self.session = session = ulid(self._now_ms())  #: names it in every status it writes
        self._rivals = rivals
        self._before = route.sessions.newest(route.name)
        route.sessions.begun(route.name, session)
        self.conflict: str | None = None  #: session of another agent that writes our status
        self._route = route
        self._image = image
        self._make = make
        self._topics = topics = Topics(route, memo)
        topics.place(image)
        self._limits: Limits | None = None
        self._renderer = self._make_renderer()
        self._values = RetainedValues(memo)
        self._memo = memo
        self._catalogues: dict[str, object] = {}  # what was said last, by device
        self._round: list[str] = []  # devices whose retained messages are published again, a share each tick
        self._share = 0  # of it, the next one
        self.will: Message | None = None
        self.listens: Sequence[str] = ()
        self.repairs: str | None = None
        if route.status:
            will = encode(AgentWill("offline", session))
            self.will = Message(topic=topics.agent_status, payload=will, retain=True)
            self.listens = (topics.agent_status,)
            if route.resend():
                self.repairs = agent_topic(route, "resend")
                self.listens = (topics.agent_status, self.repairs)
        self._streams: dict[str, Stream] = {}  # the present one of each device, as last heard of

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        if not isinstance(event, Record | Withheld):
            # several epochs of a device: the present one is the last
            self._streams.update((stream.device, stream) for stream in event.streams)
        match event:
            case Record(content=Batch() as batch):
                return self._renderer.readings(event, batch)
            case Record(content=Gap() as gap):
                prefix = self._topics.prefix(gap.device)
                return [gap_message(gap, agent=self._route.agent, prefix=prefix, limit=self._limit)]
            case DeviceChanged():
                return self._device(event.device, event.ts) + self._clear_values()
            case Tick():
                self._memo.put(_STATUS_TOPIC, " ".join(self._own_status()).encode())
                self._topics.settle({stream.device for stream in event.streams})
                self._values.settle()
                return [*self._agent("online", event.ts, event.streams), *self._again(event.ts)]
            case Online():
                return self._online(event)
            case AgentChanged() | Offline():
                return self._agent("offline" if isinstance(event, Offline) else "online", event.ts, event.streams)
            case Incoming():
                return self._heard(event)
        return []

    def _make_renderer(self) -> Renderer:
        return self._make(
            Setting(
                route=self._route,
                image=self._image,
                limit=self._limit,
                properties=self._limits is None or self._limits.properties,
                prefix=self._topics.prefix,
                location=self._topics.location,
            )
        )

    def _online(self, event: Online) -> list[Message]:
        self._limits = event.limits
        self._route.sessions.spoke(self._route.name, self.session)
        self._renderer = self._make_renderer()
        self._share = 0
        messages = self._agent("online", event.ts, event.streams)
        if not self._route.status and any(kept.status for kept in self._topics.kept.values()):
            messages.append(retained.empty(self._topics.agent_status))  # there before somebody turned it off
        messages += self._clear_moved()
        self._topics.place(self._image)
        messages += self._clear_orphans(event.ts)
        for name in self._image.devices:
            if self._route.wants(name):
                messages += self._device(name, event.ts)
        return messages + self._clear_values()

    def _clear_moved(self) -> list[Message]:
        """Take back the agent's status where it was published under another root."""
        here = self._own_status()
        known = {*here, *(self._memo.get(_STATUS_TOPIC) or b"").decode().split()}
        self._memo.put(_STATUS_TOPIC, " ".join(sorted(known)).encode())
        return [retained.empty(topic) for topic in sorted(known - {*here, self._topics.agent_status})]

    def _own_status(self) -> list[str]:
        return [self._topics.agent_status] if self._route.status else []

    @property
    def _limit(self) -> int:
        """Bytes of a whole packet."""
        theirs = self._limits.max_packet_bytes if self._limits is not None else None
        return min(self._route.max_message_bytes, theirs or self._route.max_message_bytes)

    # --- status and catalogue -----------------------------------------------------------------------------------------

    def _agent(self, state: Literal["online", "offline"], ts: int, streams: Sequence[Stream]) -> list[Message]:
        """The agent's status, and its streams where it has no room for them; the goodbye comes last."""
        if not self._route.status:
            return []
        about, topic = self._image.agent, self._topics.agent_status
        told = {stream.device: _stream_status(stream) for stream in streams}
        status = AgentStatus(
            state=state,
            session=self.session,
            version=about.version,
            mqtt=self._limits.protocol if self._limits is not None else "",
            config=ConfigStatus(about.config, about.attempted or about.config, about.error),
            shard=about.shard,
            publisher=self._route.name,
            resend=self.repairs is not None and self._route.resend(),
            streams=told,
            ts=ts,
        )
        message, parts = retained.message(topic, encode(status)), list[Message]()
        below = agent_topic(self._route, "streams")
        if len(message.payload) > self._limit - overhead(topic, ()):
            parts = retained.streams(below, self.session, told, ts, self._limit)
            message.payload = encode(structs.replace(status, streams={}, streams_parts=len(parts)))
        before = int(self._memo.get(_PARTS) or b"0")
        self._memo.put(_PARTS, b"%d" % len(parts) if parts else None)
        gone = [retained.empty(f"{below}/{i}") for i in range(len(parts) + 1, before + 1)]
        return [message, *parts, *gone] if state == "online" else [*parts, *gone, message]

    def _again(self, ts: int) -> list[Message]:
        """What is retained about a share of the devices: a broker may have lost it, and nobody would know.

        Never about all at once: a broker that throttles would throw the burst away.
        """
        if self._share == 0:
            self._round = [name for name in self._image.devices if self._route.wants(name)]
        first, end = (share * len(self._round) // SHARES for share in (self._share, self._share + 1))
        self._share = (self._share + 1) % SHARES
        messages: list[Message] = []
        for name in self._round[first:end]:
            self._catalogues.pop(name, None)
            messages += self._device(name, ts)
        return messages

    def _device(self, name: str, ts: int) -> list[Message]:
        device = self._image.devices.get(name)
        if device is None or not self._route.wants(name):
            return self._clear_orphans(ts)
        prefix = self._topics.place_one(self._image, name)
        self._renderer.moved(name)
        messages = self._clear_orphans(ts)
        kept = self._topics.kept[prefix]
        if self._route.status:
            messages.append(retained.status(prefix, device, self.session, self._streams.get(name)))
        elif kept.status:
            messages.append(retained.empty(f"{prefix}/status"))
        catalogue = (prefix, device.cat, device.tags, device.description)
        if self._route.catalogue and self._catalogues.get(name) != catalogue:
            self._catalogues[name] = catalogue
            parts, before = retained.catalogue(prefix, device, self._limit), kept.parts
            kept.parts = len(parts) - 1
            messages += parts
            messages += [retained.empty(f"{prefix}/tags/{i}") for i in range(len(parts), before + 1)]
        elif kept.tags and not self._route.catalogue:
            messages += retained.no_catalogue(prefix, kept.parts)
            kept.parts = 0
        kept.status, kept.tags = self._route.status, self._route.catalogue
        self._topics.save()
        return messages

    def _clear_orphans(self, ts: int) -> list[Message]:
        """Say `removed` of what is no longer configured, then empty its retained topics."""
        messages: list[Message] = []
        for prefix in list(self._topics.orphans(self._image)):
            kept = self._topics.cleared(prefix)
            if kept.status:
                messages += retained.removed(prefix, self.session, ts)
            if kept.tags:
                messages += retained.no_catalogue(prefix, kept.parts)
            self._renderer.moved(kept.device)
            self._catalogues.pop(kept.device, None)
            if kept.device not in self._image.devices:
                log.info("device.removed", device=kept.device)
        return messages

    def _clear_values(self) -> list[Message]:
        """Take back newest values that stand where nothing says them any more."""
        wanted = {name: self._renderer.stays(name) for name in self._image.devices if self._route.wants(name)}
        return [retained.empty(topic) for topic in self._values.keep(wanted)]

    # --- what consumers ask for ---------------------------------------------------------------------------------------

    def request(self, incoming: Incoming, /) -> ResendRequest:
        if len(incoming.payload) > REQUEST_BYTES:
            raise Rejected("larger than a request may be")
        try:
            request = msgspec.json.decode(incoming.payload, type=ResendRequest)
        except (ValueError, RecursionError) as error:
            raise Rejected(str(error)) from error
        if not 1 <= request.from_seq <= request.to_seq < request.from_seq + MOST_NUMBERS:
            raise Rejected(f"1 to {MOST_NUMBERS:,} numbers, first to last")
        if not 0 < len(request.id) <= MOST_ID:
            raise Rejected("an id of its own, a ULID")
        return request

    # --- who else speaks under our name -------------------------------------------------------------------------------

    def _heard(self, incoming: Incoming) -> list[Message]:
        if incoming.topic != self._topics.agent_status:
            return []
        try:
            heard = msgspec.json.decode(incoming.payload, type=_Heard)
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
            return []
        if heard.session in self._route.sessions:
            return [] if incoming.retain else self._corrected(heard, incoming.streams)
        if self.conflict is None and (self._followed(heard) if incoming.retain else heard.state == "online"):
            self.conflict = heard.session
            self._rivals.heard(self._route.agent, incoming.topic, heard.session)
        return []

    def _corrected(self, heard: _Heard, streams: Sequence[Stream]) -> list[Message]:
        """Another route of ours was cut off, and its will calls the agent offline: we are here."""
        if heard.state == "online" or heard.session == self.session:
            return []
        return self._agent("online", self._now_ms(), streams)

    def _followed(self, heard: _Heard) -> bool:
        """Whether somebody else has spoken since we last did: two agents that share a client_id put each other out.

        What is retained when a run begins is our own past; so is what is older than what we said, at a broker that was
        restored.
        """
        return self._before is not None and heard.session > self._before


def _stream_status(stream: Stream) -> StreamStatus:
    before = [
        EndedStatus(one.epoch, one.next, one.readings, retained.totals(one.scans) if one.scans.due else None)
        for one in stream.before
    ]
    return StreamStatus(stream.epoch, stream.low, _told(stream), before)


def _told(stream: Stream) -> int:
    """The next number, as far as a consumer may be told: one that waits for its commit is not yet anybody's."""
    return stream.next if stream.safe is None else stream.safe
