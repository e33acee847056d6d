"""One tag of an OPC UA server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from agent.collectors.opcua.address.nodeid import NodeAddress, parse_node_id
from agent.collectors.opcua.address.paths import BrowsePath, parse_path
from agent.collectors.opcua.plan import ChangeFilter, FoundKeys, Notifier, Selection, TagPoint, sampling_of
from agent.collectors.opcua.values.indexrange import IndexRange, parse_index_range
from agent.settings.model import Model
from agent.settings.tags import TagBase
from agent.settings.values import Duration


def _check_node(value: str) -> str:
    parse_node_id(value)
    return value


def _check_path(value: str) -> str:
    parse_path(value)
    return value


def _check_range(value: str) -> str:
    parse_index_range(value)
    return value


#: What a server holds about itself.
OF_THE_SERVER = ("Server/*", "Aliases/*")


class RangeDeadband(Model):
    """A deadband the server measures by the range of the node (OPC 10000-4, 7.22.2)."""

    percent: float = Field(gt=0, le=100)
    """Percent of the node's EURange."""


class MonitoredTag(TagBase):
    """How the server watches a value."""

    sampling_interval: Duration | None = None
    """How often the server looks at the value; default: the tag's interval. 0ms: as fast as the server can."""
    queue_size: int | None = Field(default=None, ge=1, le=10_000)
    """Values the server keeps between two notifications; default: twice what sampling can bring."""
    discard: Literal["oldest", "newest"] = "oldest"
    """What the server drops when its queue is full (declared as a gap)."""
    trigger: Literal["status", "value", "timestamp"] = "value"
    """What makes the server report: a change of status only; of status or value; of either or the source's time."""
    server_deadband: Annotated[float, Field(gt=0)] | RangeDeadband | None = None
    """Smaller changes are not even sent: absolute, or `{percent: 1}` of the node's EURange. Dropped where refused."""

    @property
    def filter(self) -> ChangeFilter | None:
        """None where the server's default is what is wanted."""
        trigger = ("status", "value", "timestamp").index(self.trigger)
        if isinstance(self.server_deadband, RangeDeadband):
            return ChangeFilter(trigger, self.server_deadband.percent, 2)
        if self.server_deadband is not None:
            return ChangeFilter(trigger, self.server_deadband, 1)
        return ChangeFilter(trigger) if trigger != 1 else None

    def watched(
        self, position: int, name: str, address: NodeAddress | BrowsePath, default_interval: float,
        part: IndexRange | None = None,
    ) -> TagPoint:  # fmt: skip
        """The tag on the wire. `default_interval`: of the device, seconds."""
        interval = default_interval if self.interval in {None, "once"} else self.interval
        sampling, queue = sampling_of(float(interval or default_interval), self.sampling_interval, self.queue_size)
        return TagPoint(
            position, name, address, sampling, queue, part, self.filter,
            discard_oldest=self.discard == "oldest", queue_given=self.queue_size is not None,
        )  # fmt: skip


class OpcUaTag(MonitoredTag):
    """One node of an OPC UA server."""

    node: Annotated[str, AfterValidator(_check_node)] | None = None
    """Node id: `nsu=URI;s=NAME` (looked up on every connection), `ns=2;i=5` (by index, which may change)."""
    path: Annotated[str, AfterValidator(_check_path)] | None = None
    """Instead of `node`, the way to it by browse names, followed on every connection: `Objects/2:Machine/2:Spindle`,
    `Objects/nsu=URI;Machine/nsu=URI;Spindle`."""
    index_range: Annotated[str, AfterValidator(_check_range)] | None = None
    """Part of an array: `"3"`, `"2,3"` one element (a plain value then), `"0:9"` ten of them, `"0:1,2"` of a matrix."""

    @model_validator(mode="after")
    def _one_way(self) -> OpcUaTag:
        if (self.node is None) == (self.path is None):
            raise ValueError("a tag has either node: or path:; write one of them")
        return self

    @property
    def address(self) -> NodeAddress | BrowsePath:
        """Where it is."""
        return parse_path(self.path) if self.path is not None else parse_node_id(self.node or "")

    def point(self, position: int, name: str, default_interval: float) -> TagPoint:
        """The tag on the wire. `default_interval`: of the device, seconds."""
        part = None if self.index_range is None else parse_index_range(self.index_range)
        return self.watched(position, name, self.address, default_interval, part)


class OpcUaEvents(TagBase):
    """Events and alarms of one notifier of an OPC UA server, as one tag."""

    node: Annotated[str, AfterValidator(_check_node)] = "i=2253"
    """Node id of the notifier; default: the server itself, which has all of them."""
    min_severity: int = Field(default=0, ge=0, le=1000)
    """Events below this severity (1 to 1000) are left out."""

    def catalogue_type(self) -> str | None:
        return "event"

    def notifier(self, position: int, name: str) -> Notifier:
        """The tag on the wire."""
        return Notifier(position, name, parse_node_id(self.node), self.min_severity)


class BrowseSettings(Model):
    """Tags by browsing. Their names are the browse names on the way from the root: `Machine/Spindle/Speed`."""

    root: Annotated[str, AfterValidator(_check_node)] = "i=85"
    """Node id where it begins; default: Objects."""
    include: list[str] = Field(default_factory=lambda: ["*"])
    """Globs over the names; `*` crosses `/`."""
    exclude: list[str] = Field(default_factory=lambda: list(OF_THE_SERVER))
    """Globs over the names that are left out again; default: `Server/*` and `Aliases/*`, about the server itself."""
    max_nodes: int = Field(default=1000, ge=1, le=100_000)
    """Not more than so many; what lies beyond is left out, and said."""

    overrides: dict[str, MonitoredTag] = Field(default_factory=dict)
    """Keys for the tags that are found, by globs over their names: `{"*/Temperature": {unit: Cel}}`. Of several globs
    that fit a name all count, key by key the last one. `enabled: false` leaves nodes out."""

    def tag(self, name: str) -> MonitoredTag:
        """The keys of a node found under this name."""
        globs = tuple(glob for glob in self.overrides if fnmatchcase(name, glob))
        return _merged([self.overrides[glob] for glob in globs]) if globs else _PLAIN

    def selection(self, interval: float, taken: Iterable[OpcUaTag]) -> Selection:
        """What is asked of the server. `interval`: of the device; `taken`: tags that are configured."""

        def keys(name: str) -> FoundKeys:
            tag = self.tag(name)
            every = None if tag.interval == "once" else tag.interval or interval
            return FoundKeys(tag.enabled, every, tag.max_silence, tag.watched(0, name, NodeAddress(0, 0), interval))

        return Selection(
            parse_node_id(self.root),
            tuple(self.include),
            tuple(self.exclude),
            self.max_nodes,
            keys,
            tuple(tag.address for tag in taken if tag.index_range is None),
        )


_PLAIN = MonitoredTag()


def _merged(tags: Sequence[MonitoredTag]) -> MonitoredTag:
    """All keys that any of them has, of the last one that has it; what contradicts a later one goes."""
    keys: dict[str, object] = {}
    for tag in tags:
        said = {key: getattr(tag, key) for key in tag.model_fields_set}
        if said.get("report") == "every":
            keys.pop("deadband", None)
        if said.get("deadband") is not None and keys.get("report") == "every":
            del keys["report"]
        keys |= said
    return _PLAIN.model_copy(update=keys)
