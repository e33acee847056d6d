"""`devices:`. A subclass lives in its protocol's folder and builds the collector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Self

from pydantic import field_validator

from agent.core.flow import TagFacts
from agent.core.image import TagInfo
from agent.core.ports import BuildContext, Collector
from agent.settings.model import Model
from agent.settings.oddities import odd_keys
from agent.settings.tags import TagBase, TagName
from agent.settings.values import Duration, FilePath, Interval, format_duration

#: What is held back is not on disk yet: a crash may cost this many seconds of readings.
MAX_BATCH_DELAY = 60.0


class BatchSettings(Model):
    """How readings are gathered into batches."""

    max_delay: Duration = 0.0
    """A batch may wait this long to become larger, at most 60s. One that has 1000 readings goes at once."""

    @field_validator("max_delay")
    @classmethod
    def _bounded(cls, value: float) -> float:
        if value > MAX_BATCH_DELAY:
            msg = f"{format_duration(value)} is longer than a batch may wait; write 60s or less, or read less often"
            raise ValueError(msg)
        return value


class BusLoad(NamedTuple):
    """What a device takes of a bus whose time is limited."""

    bus: str  #: devices that name the same share it
    share: float  #: seconds per second
    words: str  #: how it comes about


class Request(NamedTuple):
    """One request of a cycle, as `edge-agent plan` shows it."""

    what: str  #: `holding:0+125`
    wanted: int  #: registers, bits or nodes that tags cover
    asked: int  #: that the request names
    seconds: float = 0.0  #: it takes of its bus, beside the round trip


class Cycle(NamedTuple):
    """What is asked for at one interval."""

    interval: float | None  #: seconds; None: once per connection
    tags: int
    requests: tuple[Request, ...]


#: No device in a plant answers faster, seconds.
_FASTEST = 0.01


class Claim(NamedTuple):
    """What a device must have for itself."""

    key: str  #: of its configuration that claims it
    what: str  #: devices that name the same cannot both have it
    hint: str  #: what to write instead


class DeviceConfig(Model, ABC):
    """One entry under `devices:`. `type` names the protocol."""

    type: str
    """Protocol of the device."""
    location: list[str] | None = None
    """ISA-95 path; overrides the agent's."""
    description: str | None = None
    """Free text in any language, in the catalogue."""
    enabled: bool = True
    """false: not read; its tags are published once as bad, BadOutOfService."""
    interval: Interval = 1.0
    """Polling (or publishing) interval of tags without their own."""
    timeout: Interval = 1.0
    """How long to wait for an answer."""
    batch: BatchSettings = BatchSettings()
    """How readings are gathered into batches."""
    tags_file: FilePath | None = None
    """CSV with the same keys as columns; its tags are added to `tags`."""

    tags: Mapping[TagName, TagBase] = {}
    """The values to read. A protocol narrows this to its own kind of tag."""

    @property
    def tag_table(self) -> dict[str, TagBase]:
        """The tags by name, in order: positions in samples count in this order."""
        return dict(self.tags)

    @classmethod
    def spread(cls, name: str, keys: object) -> Mapping[str, object] | None:
        """The tags that one entry of `tags` stands for, by name; None where it stands for itself.

        Raises ValueError, `reason; hint`.
        """
        del name, keys
        return None

    def tables(self) -> dict[str, dict[str, TagBase]]:
        """The keys of this device that its tags stand under, with those tags: `tags`, and what else a protocol has."""
        return {
            key: value
            for key in type(self).model_fields
            if isinstance(value := getattr(self, key), dict) and all(isinstance(tag, TagBase) for tag in value.values())
        }

    @property
    def finds_tags(self) -> bool:
        """Whether the device itself tells of more tags than its table has."""
        return False

    @property
    def most_found(self) -> int | None:
        """Tags that are looked for at most; None where there is no end, or nothing is looked for."""
        return None

    def found_tag(self, name: str) -> TagBase:
        """The keys of a tag that the device was found to have."""
        del name
        return TagBase()

    @property
    def scan_intervals(self) -> Sequence[float]:
        """Interval of each poll group, seconds; none where nothing is polled."""
        return ()

    @abstractmethod
    def build(self, name: str, context: BuildContext) -> Collector:
        """The collector of this device. Imports the protocol's library no earlier than `Collector.open()`."""

    def cycles(self, max_gap: int | None = None) -> Sequence[Cycle]:
        """What is asked for, by interval; with another `max_gap` instead, where that means something. () if unknown."""
        del max_gap
        return ()

    def registers(self) -> Self | None:
        """The device with a tag for each register its tags cover, raw; None where it has no registers."""
        return None

    def where(self) -> str:
        """Where it is reached, for people."""
        return str(getattr(self, "url", "-"))

    def connection(self) -> tuple[str, dict[str, object]] | None:
        """What it shares with other devices: the connection's name, and by key what all on it must agree about."""
        return None

    def bus_name(self) -> str:
        """The gateway, serial line or server it is behind: devices that name the same are read by one agent."""
        shared = self.connection()
        return self.where() if shared is None else shared[0]

    def claim(self) -> Claim | None:
        """What no other device may have too; None where it takes nothing for itself."""
        return None

    def oddities(self) -> Iterable[str]:
        """What is allowed, but probably not meant: `key: words`."""
        fastest = min(self.scan_intervals, default=1.0)
        if fastest < _FASTEST:
            yield f"interval: {format_duration(fastest)} is faster than devices answer; write 100ms or more"
        yield from odd_keys(self.tag_table)

    def answers(self) -> str | None:
        """Who answers: two devices that say the same read one machine twice. None where that is usual."""
        return None

    def bus_load(self) -> BusLoad | None:
        """What it takes of its bus; None where nobody can tell, or time is no matter."""
        return None

    def catalogue(self) -> list[TagInfo]:
        """What the tag catalogue says."""
        return [self._info(name, tag) for name, tag in self.tag_table.items()]

    def found_info(self, name: str, facts: TagFacts | None) -> TagInfo:
        """What the tag catalogue says about a tag that the device was found to have."""
        return self._info(name, self.found_tag(name).told_by(facts), None if facts is None else facts.node)

    def _info(self, name: str, tag: TagBase, node: str | None = None) -> TagInfo:
        return TagInfo(
            tag=name,
            type=tag.catalogue_type(),
            unit=tag.unit,
            description=tag.description,
            interval=self._interval_of(tag),
            node=node,
        )

    def _interval_of(self, tag: TagBase) -> int | str | None:
        if tag.awaited:
            return None
        return "once" if tag.interval == "once" else _milliseconds(tag.interval or self.interval)


@cache
def _milliseconds(seconds: float) -> int:
    """The same object for all tags: each takes 32 bytes."""
    return round(seconds * 1000)
