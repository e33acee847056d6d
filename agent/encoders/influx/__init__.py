"""`type: influx`: InfluxDB's line protocol, many lines a message (docs/encoders.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.core.ports import Encoder, RouteInfo
from agent.encoders.common.config import AroundConfig
from agent.encoders.common.examine import examine_identity, examine_topics
from agent.encoders.common.naming import Namer, UnplaceableError, check_location
from agent.encoders.influx.lines import CODE, QUALITY, RESERVED, key_text
from agent.settings.publishers import Carried, ConfigFinding
from agent.settings.topics import DEVICE_VARIABLES, Template, filter_of, topic_template

__all__ = ["InfluxConfig"]


def _check_topic(value: str) -> str:
    topic_template(value, DEVICE_VARIABLES)
    return value


def _check_measurement(value: str) -> str:
    Template(value, DEVICE_VARIABLES, word="measurement")
    if not value or value.startswith(("_", "#")):
        raise ValueError(f"{value!r} is no measurement: it must not be empty or begin with _ or #")
    return value


def _check_tags(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not key or key.startswith("_") or key in (RESERVED, "quality"):
            raise ValueError(f"{key!r} cannot be a tag; `quality`, `time` and names that begin with _ are reserved")
        Template(text, DEVICE_VARIABLES, word="tag")
    return value


def _check_fields(value: dict[str, str]) -> dict[str, str]:
    for tag, name in value.items():
        if not name:
            raise ValueError(f"the field of {tag!r} has no name; leave it out to keep the tag's own")
    return value


class InfluxConfig(AroundConfig):
    """Line protocol: a measurement a device, a field a tag, the quality beside them."""

    type: Literal["influx"]
    """InfluxDB's line protocol."""
    topic: Annotated[str, AfterValidator(_check_topic)] = "{root}/{location}/{device}/lines"
    """Topic of the lines of a device."""
    measurement: Annotated[str, AfterValidator(_check_measurement)] = "{device}"
    """Measurement (table) of a device."""
    tags: Annotated[dict[str, str], AfterValidator(_check_tags)] = Field(
        default={"agent": "{agent}", "location": "{location}"}
    )
    """Tag set of every line; the same variables as in a topic."""
    quality: Literal["tag", "field"] = "tag"
    """Where the quality stands: tag `quality` of the line, or field `NAME.quality` beside the value."""
    precision: Literal["s", "ms", "us", "ns"] = "ns"
    """Unit of the timestamps."""
    unsigned: Literal["u", "i", "float"] = "u"
    """How unsigned integers are written: `u` (InfluxDB 2 and 3), as signed `i`, or as floats."""
    names: Annotated[dict[str, str], AfterValidator(_check_fields)] = Field(default={})
    """Names of fields for tags whose own name is no good as one (`time: clock`)."""

    def build(self, route: RouteInfo) -> Encoder:
        from agent.encoders.common.dialogue import StatusEncoder
        from agent.encoders.influx.renderer import InfluxRenderer

        return StatusEncoder(route, partial(InfluxRenderer, config=self, namer=self.namer(route)))

    def beside(self) -> set[str]:
        """Keys of the tags of a line, escaped: none of them can be a field as well."""
        return {key_text(key) for key in self.tags} | ({"quality"} if self.quality == "tag" else set())

    def namer(self, route: RouteInfo) -> Namer:
        """Topics of the devices of this route."""
        return Namer(topic_template(self.topic, DEVICE_VARIABLES), route)

    def namers(self, route: RouteInfo) -> list[Namer]:
        return [self.namer(route)]

    def filters(self, route: RouteInfo) -> list[str]:
        return [filter_of(topic_template(self.topic, DEVICE_VARIABLES), root=route.root, agent=route.agent)]

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        yield from examine_topics(self.namer(route), devices)
        for device, carried in devices.items():
            try:
                check_location(Template(self.measurement, DEVICE_VARIABLES), device, carried.location)
            except UnplaceableError as error:
                yield ConfigFinding(str(error), ("measurement",))
            if self.measurement.startswith("{device}") and device.startswith("_"):
                yield ConfigFinding(
                    f"InfluxDB keeps measurements that begin with _, as {device}, to itself; put something in front",
                    ("measurement",),
                )
            yield from self._fields(device, carried)
        yield from examine_identity(route, "messages of lines")

    def _fields(self, device: str, carried: Carried) -> Iterator[ConfigFinding]:
        taken: dict[str, str] = {}
        beside = self.beside()
        for tag in carried.tags:
            key = key_text(self.names.get(tag, tag))
            if key == RESERVED or key.startswith("_"):
                text = f"{device}, tag {tag!r}: InfluxDB takes no field named {key!r}; give it another under `names:`"
                yield ConfigFinding(text, ("names",))
            if key in beside:
                text = f"{device}, tag {tag!r}: {key} is a tag of the line already, and cannot be a field as well"
                yield ConfigFinding(f"{text}; give it another name under `names:`", ("names",))
            for field in (key, key + QUALITY, key + CODE):
                if field in taken and taken[field] != tag:
                    both = f"the tags {taken[field]!r} and {tag!r} would both write the field {field}"
                    yield ConfigFinding(f"{device}: {both}; give one of them another under `names:`", ("names",))
                taken.setdefault(field, tag)
