"""`type: opcua`. Builds the collector and never imports asyncua."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agent.collectors.common.limits import MOST
from agent.collectors.common.polling import PollGroup, poll_groups
from agent.collectors.opcua.connect.reverse import ReverseSettings
from agent.collectors.opcua.connect.url import check_url, split_url
from agent.collectors.opcua.connect.ways import ways_to
from agent.collectors.opcua.plan import ConnectionPace, ConnectionPlan, TagPoint
from agent.collectors.opcua.tag import BrowseSettings, OpcUaEvents, OpcUaTag
from agent.collectors.opcua.trust.security import SecuritySettings, access_of, check_access, check_user
from agent.collectors.opcua.wire.limits import WireLimits
from agent.core.ports import BuildContext, Collector
from agent.settings.devices import Claim, Cycle, DeviceConfig, Request
from agent.settings.model import Model
from agent.settings.tags import TagBase, TagName
from agent.settings.values import ByteSize, FilePath, Interval, NetworkRange, Secret, is_loopback
from agent.settings.zones import TimeZone, UtcOffset, zone_of

_PACE = ConnectionPace()


class ClockSettings(Model):
    """How far a controller's clock is trusted."""

    use: Literal["source", "agent"] = "source"
    """source: readings carry the source's timestamps; agent: the time their answer arrived."""
    utc_offset: UtcOffset = 0.0
    """For a controller on local time: how far it runs ahead of UTC, `"+08:00"` …"""
    time_zone: TimeZone | None = None
    """… or, where it goes over to summer time, its zone: `Europe/Berlin`."""
    max_skew: Interval = 5.0
    """A source time further ahead of the agent's clock than this is not believed: the time of arrival stands in."""

    @model_validator(mode="after")
    def _one_of_them(self) -> ClockSettings:
        if self.time_zone is not None and self.utc_offset:
            raise ValueError("utc_offset and time_zone contradict each other; leave one of the two out")
        return self


class LimitSettings(Model):
    """What one answer of a server may hold; what is larger is refused before it is decoded."""

    message_bytes: Annotated[ByteSize, Field(ge=65_536, le=1 << 30)] = 16 << 20
    """All of it."""
    array: Annotated[int, Field(ge=1, le=100_000_000)] = 65_536
    """Elements of one array."""
    string_bytes: Annotated[ByteSize, Field(ge=1, le=1 << 30)] = 1 << 20
    """One string or byte string."""


class OpcUaConfig(DeviceConfig):
    """An OPC UA server."""

    type: Literal["opcua"]
    """Protocol of the device."""
    url: Annotated[str, AfterValidator(check_url)] | None = None
    """`opc.tcp://HOST:PORT/PATH`; port 4840 unless given."""
    urls: list[Annotated[str, AfterValidator(check_url)]] = Field(default_factory=list)
    """Instead of `url`: redundant servers, the preferred first; one that is gone or not well is left for another."""
    reverse: ReverseSettings | None = None
    """Instead of `url`: the server calls the agent, from behind a firewall say."""
    allow: list[NetworkRange] = Field(default_factory=list)
    """Networks the server may call from; only with `reverse`. Default: any."""
    mode: Literal["subscribe", "poll"] = "subscribe"
    """subscribe: the server says what changes; poll: the agent reads."""
    timeout: Interval = 5.0
    """How long to wait for an answer."""
    clock: ClockSettings = ClockSettings()
    """How far the server's timestamps are trusted."""
    limits: LimitSettings = LimitSettings()
    """What one answer of the server may hold."""
    endpoint_url: Annotated[str, AfterValidator(check_url)] | None = None
    """The name the server insists on, where it is not the one it is reached by; default: `url`."""
    security: SecuritySettings | None = None
    """Security of the channel; default: none."""
    server_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The host name or address the server's certificate must name, where it is not that of `url`."""
    server_uri: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The application URI the server's certificate must name, where it is not what the server calls itself."""
    password: Secret | None = None
    """Password of `username`, as ${NAME} …"""
    password_file: FilePath | None = None
    """… or a file that holds it, read at every connection."""
    user_certificate: FilePath | None = None
    """User of the session by certificate, DER or PEM, instead of a name …"""
    user_private_key: FilePath | None = None
    """… and its private key, PEM or DER, not encrypted."""
    username: str | None = None
    """User of the session; default: anonymous."""
    backfill: bool = False
    """true: what an outage or a stop left open is read from the server's history afterwards, where it keeps one."""
    browse: BrowseSettings | None = None
    """More tags, found by walking through the server on every connection."""
    tags: dict[TagName, OpcUaTag] = Field(default_factory=dict)
    """The tags by name."""
    events: dict[TagName, OpcUaEvents] = Field(default_factory=dict)
    """Events and alarms, by name: each is one more tag, of type event."""

    @field_validator("username")
    @classmethod
    def _has_a_password(cls, value: str | None, info: ValidationInfo) -> str | None:
        given = {**info.data, "username": value}
        if value is not None and given.keys() >= _ACCESS:
            check_user(access_of(given))
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> OpcUaConfig:
        check_access(access_of(dict(self)))
        return self

    @model_validator(mode="after")
    def _somewhere(self) -> OpcUaConfig:
        if [self.url is not None, bool(self.urls), self.reverse is not None].count(True) != 1:
            raise ValueError("a device has one of url:, urls: and reverse:; write url: opc.tcp://HOST:4840")
        if self.reverse is not None and self.endpoint_url is not None:
            raise ValueError("a server that calls says itself what it wants to be called; take endpoint_url: away")
        if self.allow and self.reverse is None:
            raise ValueError("`allow` is for servers that call; write reverse:, or take `allow` away")
        if self.reverse is not None and self.server_uri is not None:
            raise ValueError("under reverse: stands a server_uri already; take the other one away")
        if self.backfill and self.clock.use == "agent":
            raise ValueError("backfill needs the source's times; leave out clock: {use: agent} or backfill")
        return self

    @model_validator(mode="after")
    def _one_name_each(self) -> OpcUaConfig:
        if both := sorted(self.tags.keys() & self.events.keys()):
            raise ValueError(f"{both[0]!r} stands under tags: and under events:; give one of them another name")
        return self

    @property
    def all_urls(self) -> list[str]:
        """Where servers are dialled, the preferred first."""
        return self.urls if self.url is None else [self.url]

    def where(self) -> str:
        return ", ".join(self.all_urls) if self.reverse is None else self.reverse.name

    def bus_name(self) -> str:
        if self.reverse is not None:  # servers that call one address find one agent there
            return f"opc.tcp-listen://{self.reverse.listen}"
        host, port = min(map(split_url, self.all_urls))  # of a redundant pair the same one, whichever is preferred
        return f"opc.tcp://{host}:{port}"

    def claim(self) -> Claim | None:
        if self.reverse is None:
            return None
        return Claim("reverse", self.reverse.name, "let each server be one device, or tell its names by endpoint_url")

    def oddities(self) -> Iterable[str]:
        open_to_all = self.reverse is not None and not is_loopback(self.reverse.address[0]) and not self.allow
        if self.reverse is not None and open_to_all and not access_of(dict(self)).secured:
            yield (
                f"reverse: whoever reaches {self.reverse.listen} can pretend to be {self.reverse.server_uri}; "
                "security: {policy: Basic256Sha256} has it prove who it is; "
                "allow: [192.168.10.0/24] says where it may call from"
            )
        if self.mode == "poll":
            idle = {
                name: keys for name, tag in self.tags.items() if (keys := _FOR_SUBSCRIPTIONS & tag.model_fields_set)
            }
            if idle:
                name, keys = next(iter(idle.items()))
                more = f", and those of {len(idle) - 1} more tags" if len(idle) > 1 else ""
                yield (
                    f"tags.{name}: {', '.join(sorted(keys))}{more} tell a server how to watch a value, and "
                    "`mode: poll` has none watched; write `mode: subscribe`, or leave them out"
                )

    @property
    def tag_table(self) -> dict[str, TagBase]:
        return {**self.tags, **self.events}

    @property
    def finds_tags(self) -> bool:
        return self.browse is not None

    @property
    def most_found(self) -> int | None:
        return None if self.browse is None else self.browse.max_nodes

    def found_tag(self, name: str) -> TagBase:
        return super().found_tag(name) if self.browse is None else self.browse.tag(name)

    @property
    def points(self) -> dict[int, TagPoint]:
        """The enabled tags by position."""
        return {
            position: tag.point(position, name, self.interval)
            for position, (name, tag) in enumerate(self.tags.items())
            if tag.enabled
        }

    @property
    def scan_intervals(self) -> Sequence[float]:
        groups = self._groups() if self.mode == "poll" else ()
        return [group.interval for group in groups if group.interval is not None]

    def cycles(self, max_gap: int | None = None) -> Sequence[Cycle]:
        del max_gap
        if self.mode == "subscribe":
            return [Cycle(self.interval, len(self.points), ())]  # the server publishes; nothing is asked for
        groups = poll_groups(self.tags.values(), self.interval)
        return [Cycle(group.interval, len(group.positions), _chunks(len(group.positions))) for group in groups]

    def plan(self, device: str, agent: str, pace: ConnectionPace = _PACE) -> ConnectionPlan:
        """All that a connection must know. Events follow the tags in the tag table.

        A quiet subscription answers at least as often as a tag is to be published again (`max_silence`).
        """
        silences = {
            position: tag.max_silence
            for position, tag in enumerate(self.tags.values())
            if tag.enabled and tag.max_silence is not None
        }
        found = [tag.max_silence for tag in self._overrides() if tag.max_silence is not None]
        return ConnectionPlan(
            device=device,
            agent=agent,
            servers=tuple(self.all_urls) if self.reverse is None else (self.reverse.name,),
            subscribe=self.mode == "subscribe",
            timeout=self.timeout,
            use_source_time=self.clock.use == "source",
            zone=zone_of(self.clock.utc_offset, self.clock.time_zone) or UTC,
            max_skew=self.clock.max_skew,
            backfill=self.backfill,
            limits=WireLimits(self.limits.message_bytes, self.limits.array, self.limits.string_bytes),
            interval=self.interval,
            notifiers=[
                each.notifier(len(self.tags) + at, name)
                for at, (name, each) in enumerate(self.events.items())
                if each.enabled
            ],
            names=frozenset(self.tag_table),
            selection=None if self.browse is None else self.browse.selection(self.interval, self.tags.values()),
            size=len(self.tag_table),
            points=self.points,
            silences=silences,
            groups=self._groups(),
            pace=pace._replace(silence=min([pace.silence, *silences.values(), *found])),
        )

    def _groups(self) -> list[PollGroup]:
        """What browsing finds has a place among the others: with the device's interval, or one of `overrides`."""
        groups = poll_groups(self.tags.values(), self.interval)
        if self.browse is None:
            return groups
        mine = {group.interval for group in groups}
        wanted = poll_groups([TagBase(), *self._overrides()], self.interval)
        groups += [PollGroup(group.interval, ()) for group in wanted if group.interval not in mine]
        return sorted(groups, key=lambda group: math.inf if group.interval is None else group.interval)

    def _overrides(self) -> Sequence[TagBase]:
        return () if self.browse is None else list(self.browse.overrides.values())

    def build(self, name: str, context: BuildContext, pace: ConnectionPace = _PACE) -> Collector:
        """`pace`: the rhythms of its connections."""
        from agent.collectors.opcua.collector import OpcUaCollector

        access = access_of(dict(self))
        ways = ways_to(
            self.all_urls, self.reverse, context, announced=self.endpoint_url, enabled=self.enabled, allow=self.allow
        )
        return OpcUaCollector(self.plan(name, context.agent, pace), ways, access, context)


def _chunks(nodes: int) -> tuple[Request, ...]:
    """The Reads of so many nodes where the server sets no smaller limit."""
    sizes = [min(MOST, nodes - start) for start in range(0, nodes, MOST)]
    return tuple(Request(f"Read of {size} nodes", size, size) for size in sizes)


_FOR_SUBSCRIPTIONS = {"discard", "queue_size", "sampling_interval", "server_deadband", "trigger"}
_ACCESS = {"security", "endpoint_url", "password", "password_file", "user_certificate", "user_private_key"}
