"""What an encoder says during one broker session: readings its own way, everything around them the same way.

agent_topics    status of the agent, retained          rivals     who else writes it
device_topics   status and catalogue of its devices    requests   what a consumer may ask for
renderer        readings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from agent.core.flow import (
    AgentChanged,
    Batch,
    DeviceChanged,
    DialogueEvent,
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
from agent.encoders.common.agent_topics import AgentTopics
from agent.encoders.common.device_topics import DeviceTopics
from agent.encoders.common.gaps import gap_message
from agent.encoders.common.messages import AgentWill, encode
from agent.encoders.common.newest import RetainedValues
from agent.encoders.common.renderer import MakeRenderer, Setting
from agent.encoders.common.requests import resend_request
from agent.encoders.common.rivals import NameWatch, Rivals
from agent.encoders.common.topics import Topics, agent_topic


class StatusEncoder:
    """See `agent.core.ports.Encoder`. `make` makes the messages of readings."""

    snapshots = True
    tick: float | None = 30.0

    def __init__(self, route: RouteInfo, make: MakeRenderer) -> None:
        self._route = route
        self._make = make
        self._rivals = Rivals(route.clock.monotonic)

    def begin(self, image: Image, memo: Memo, /) -> StatusDialogue:
        return StatusDialogue(self._route, image, memo, self._make, rivals=self._rivals)


class StatusDialogue:
    """See `agent.core.ports.Dialogue`."""

    def __init__(self, route: RouteInfo, image: Image, memo: Memo, make: MakeRenderer, *, rivals: Rivals) -> None:
        self._now_ms = route.clock.now_ms
        self.session = session = ulid(self._now_ms())  #: names it in every status it writes
        self._name = NameWatch(route, session, rivals)
        route.sessions.begun(route.name, session)
        self._route = route
        self._image = image
        self._make = make
        self.will: Message | None = None
        self.listens: Sequence[str] = ()
        self.repairs: str | None = None
        self._topics = Topics(route, memo)
        self._topics.place(image)
        if route.status:
            status = self._topics.agent_status
            self.will = Message(topic=status, payload=encode(AgentWill("offline", session)), retain=True)
            self.listens = (status,)
            if route.resend():
                self.repairs = agent_topic(route, "resend")
                self.listens = (status, self.repairs)
        self._agent = AgentTopics(route, memo, session, resends=self.repairs is not None)
        self._values = RetainedValues(memo)
        self._streams: dict[str, Stream] = {}  # the present one of each device, as last heard of
        self._meet(None)

    def _meet(self, limits: Limits | None) -> None:
        """From now on a broker with these limits; None: nothing is known of it."""
        theirs = limits.part_bytes if limits is not None else None
        self._limit = min(self._route.max_message_bytes, theirs or self._route.max_message_bytes)
        self._protocol = limits.protocol if limits is not None else ""
        self._renderer = self._make(
            Setting(
                route=self._route,
                image=self._image,
                limit=self._limit,
                properties=limits is None or limits.properties,
                prefix=self._topics.prefix,
                location=self._topics.location,
            )
        )
        self._devices = DeviceTopics(
            self._route, self._image, self._topics, self.session, self._streams, self._renderer, limit=self._limit
        )

    @property
    def conflict(self) -> str | None:
        """Session of another agent that writes our status."""
        return self._name.conflict

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        if isinstance(event, Record):
            content = event.content
            if isinstance(content, Batch):
                return self._renderer.readings(event, content)
            prefix = self._topics.prefix(content.device)
            return [gap_message(content, agent=self._route.agent, prefix=prefix, limit=self._limit)]
        if not isinstance(event, Withheld):
            # several epochs of a device: the present one is the last
            self._streams.update((stream.device, stream) for stream in event.streams)
        match event:
            case DeviceChanged():
                said = self._devices.only_state(event.device, event.ts)
                return self._devices.changed(event.device, event.ts) + self._clear_values() if said is None else said
            case Tick():
                self._agent.settle()
                self._topics.settle({stream.device for stream in event.streams})
                self._values.settle()
                return [*self._status("online", event.ts, event.streams), *self._devices.again(event.ts)]
            case Online():
                return self._online(event)
            case AgentChanged() | Offline():
                return self._status("offline" if isinstance(event, Offline) else "online", event.ts, event.streams)
            case Incoming(topic=self._agent.status) if self._name.hear(event):
                return self._status("online", self._now_ms(), event.streams)
        return []

    def request(self, incoming: Incoming, /) -> ResendRequest:
        return resend_request(incoming)

    def _online(self, event: Online) -> list[Message]:
        self._route.sessions.spoke(self._route.name, self.session)
        self._meet(event.limits)
        messages = self._status("online", event.ts, event.streams)
        if not self._route.status and any(kept.status for kept in self._topics.kept.values()):
            messages.append(retained.empty(self._agent.status))  # there before somebody turned it off
        messages += self._agent.clear_moved()
        messages += self._devices.greet(event.ts)
        return messages + self._clear_values()

    def _status(self, state: Literal["online", "offline"], ts: int, streams: Sequence[Stream]) -> list[Message]:
        return self._agent.say(state, self._image.agent, ts, streams, protocol=self._protocol, limit=self._limit)

    def _clear_values(self) -> list[Message]:
        """Take back newest values that stand where nothing says them any more."""
        wanted = {name: self._renderer.stays(name) for name in self._image.devices if self._route.wants(name)}
        self._values.hand_over(self._image.elsewhere.keys() - wanted.keys(), self._route.agent)
        return [retained.empty(topic) for topic in self._values.keep(wanted)]
