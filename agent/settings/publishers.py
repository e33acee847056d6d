"""`publishers:` and `encoder:`. A subclass lives in its component's folder and builds the component."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from msgspec import structs
from pydantic import Field, SerializeAsAny, field_validator

from agent.core.ports import BuildContext, Encoder, Publisher, RouteInfo
from agent.settings.model import Model
from agent.settings.outbox import OutboxSettings
from agent.settings.topics import DEVICE_VARIABLES, check_levels, topic_template
from agent.settings.values import ByteSize, Name, Rate


class Carried(NamedTuple):
    """What an encoder must know of a device to judge its own configuration."""

    location: Sequence[str]
    tags: Sequence[str]


class ConfigFinding(NamedTuple):
    """What is wrong (or, if not `wrong`, odd) about a part once all the others are known."""

    text: str  #: `reason; hint`
    key: tuple[str, ...] = ()  #: of the part's own configuration
    wrong: bool = True


class Mark(NamedTuple):
    """Something at a broker that only one route of an agent can have."""

    what: str  #: routes that name the same at one broker are in each other's way
    words: str  #: what the route does there
    key: str  #: of the publisher that has to change


class EncoderConfig(Model, ABC):
    """`encoder:` of a publisher. `type` names the payload."""

    needs_will: ClassVar[bool] = False  #: its standard rests on it

    type: str
    """Payload format."""

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterable[ConfigFinding]:
        """What is wrong or odd about this encoder on this route with these devices; keys are those of `encoder:`."""
        del route, devices
        return ()

    def around(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterable[ConfigFinding]:
        """What is wrong or odd about the topics around its readings; keys are those of the publisher."""
        del route, devices
        return ()

    def marks(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterable[Mark]:
        """Where it writes at its broker, as far as no other route of the agent may write there."""
        del route, devices
        return ()

    def identity(self, route: RouteInfo) -> str | None:
        """Under what name the route speaks, where there must be only one of it at all brokers together."""
        del route
        return None

    def filters(self, route: RouteInfo) -> Sequence[str]:
        """Topic filters of its readings, where they do not all stand under `{root}`."""
        del route
        return ()

    @abstractmethod
    def build(self, route: RouteInfo) -> Encoder:
        """The encoder of one route."""


class Replay(Model):
    """How the backlog of an outage is sent."""

    order: Literal["live_first", "in_order"] = "live_first"
    """live_first: new data goes out at once, the backlog beside it; in_order: the backlog first, live behind it."""
    share: float = Field(default=0.5, gt=0, le=1)
    """The backlog's share of the window (live_first)."""
    max_rate: Rate | None = None
    """Backlog messages per second. Default: 50/s where live goes first, no limit where live waits behind it."""


class PublisherConfig(Model, ABC):
    """One entry under `publishers:`: a publisher with its encoder and its outbox, a route."""

    type: str
    """Kind of publisher."""
    encoder: SerializeAsAny[EncoderConfig] | None = None
    """Payload format; default `{type: json}`."""
    devices: list[str] = Field(default=["*"])
    """Globs: which devices this route carries."""
    max_message_bytes: ByteSize = 96 << 10
    """Batches are cut to this before they get their sequence number."""
    replay: Replay = Replay()
    """How the backlog of an outage is sent."""
    outbox: OutboxSettings | None = None
    """Overrides of the top-level `outbox:` for this publisher (the loader merges the two)."""

    resend: bool = True
    """Send records once more when a consumer asks for them, as far as `outbox: keep_acked:` has them."""
    was: Name | None = None
    """Former name of this publisher: the outbox of that name is taken over, with all that waits in it."""

    @property
    def resends(self) -> bool:
        """Whether a consumer that asks for records is answered."""
        return self.resend and self.outbox is not None and self.outbox.keep_acked is not None

    def brokers(self) -> Sequence[str]:
        """`host:port` of each broker it may speak to; empty where nobody can tell."""
        return ()

    def route(self, name: str, agent: str) -> RouteInfo:
        """What the encoder must know of this publisher; what a running agent adds is left at its defaults."""
        return RouteInfo(name=name, agent=agent, max_message_bytes=self.max_message_bytes)

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterable[ConfigFinding]:
        """What is wrong or odd about it once its devices are known; keys are its own."""
        if self.encoder is None:
            return
        for finding in self.encoder.examine(route, devices):
            yield finding._replace(key=("encoder", *finding.key))
        yield from self.encoder.around(route, devices)

    def marks(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterable[Mark]:
        """What no other publisher of the agent may have at one of :meth:`brokers`."""
        return () if self.encoder is None else self.encoder.marks(route, devices)

    @abstractmethod
    def build(self, name: str, context: BuildContext) -> Publisher:
        """The publisher. Imports its library no earlier than `Publisher.open()`."""


class TopicConfig(PublisherConfig):
    """A publisher whose messages go to topics as MQTT has them."""

    topic: str = "{root}/{location}/{device}"
    """Prefix of every topic about a device; may also name {agent} and single levels of the location, as {line}."""
    root: str = "edge"
    """First level of every topic."""
    qos: Literal[0, 1] = 1
    """Quality of service of readings. With 0 nothing is ever known to have arrived."""
    status: bool = True
    """false: no status of the agent and its devices, and no will, for brokers that bill or forbid them; consumers then
    cannot tell a silent device from a healthy one, and nothing can be repaired."""
    catalogue: bool = True
    """false: no tag catalogues."""

    @field_validator("topic")
    @classmethod
    def _check_topic(cls, value: str) -> str:
        names = topic_template(value, DEVICE_VARIABLES).names
        if "device" not in names:
            raise ValueError("two devices would share a topic; put {device} into it")
        return value

    @field_validator("root")
    @classmethod
    def _check_root(cls, value: str) -> str:
        return check_levels(value, "root")

    def route(self, name: str, agent: str) -> RouteInfo:
        route = super().route(name, agent)
        return structs.replace(
            route, root=self.root, topic=self.topic, qos=self.qos, status=self.status, catalogue=self.catalogue
        )
