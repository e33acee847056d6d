"""`type: value`: one topic per tag with its newest value, for dashboards (docs/encoders.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.core.ports import Encoder, RouteInfo
from agent.encoders.common.config import AroundConfig
from agent.encoders.common.examine import examine_identity, examine_topics
from agent.encoders.common.naming import Namer, check_names
from agent.settings.publishers import Carried, ConfigFinding
from agent.settings.topics import filter_of, topic_template

__all__ = ["ValueConfig"]


def _check_topic(value: str) -> str:
    if "tag" not in topic_template(value).names:
        raise ValueError("all tags of a device would share a topic; put {tag} into it")
    if value.endswith("{tag}") and value.startswith("{root}"):
        raise ValueError("a tag named `status` would be taken for the status of a device; put a level behind {tag}")
    return value


class ValueConfig(AroundConfig):
    """Value, time and quality of one tag a message; retained, so that a later subscriber gets the newest at once."""

    type: Literal["value"]
    """One topic per tag: value, time and quality."""
    topic: Annotated[str, AfterValidator(_check_topic)] = "{root}/{location}/{device}/{tag}/value"
    """Topic of a tag's newest value."""
    history_topic: Annotated[str, AfterValidator(_check_topic)] = "{root}/{location}/{device}/{tag}/history"
    """Topic of what waited out an outage: it must not look like a newest value."""
    retain: bool = True
    """The broker keeps the newest value of each tag for those who come later."""
    payload: Literal["json", "plain"] = "json"
    """json: an object with value, ts, quality; plain: the value alone as JSON, null where it is bad."""
    names: Annotated[dict[str, str], AfterValidator(check_names)] = Field(default={})
    """Levels for tags whose own name is no good as one (`温度: temperature`)."""

    def build(self, route: RouteInfo) -> Encoder:
        from agent.encoders.common.dialogue import StatusEncoder
        from agent.encoders.value.renderer import ValueRenderer

        make = partial(
            ValueRenderer,
            newest=self._namer(route, self.topic),
            history=self._namer(route, self.history_topic),
            retain=self.retain,
            plain=self.payload == "plain",
        )
        return StatusEncoder(route, make)

    def _namer(self, route: RouteInfo, topic: str) -> Namer:
        return Namer(topic_template(topic), route, names=self.names)

    def namers(self, route: RouteInfo) -> list[Namer]:
        return [self._namer(route, topic) for topic in (self.topic, self.history_topic)]

    def filters(self, route: RouteInfo) -> list[str]:
        return [
            filter_of(topic_template(topic), root=route.root, agent=route.agent)
            for topic in (self.topic, self.history_topic)
        ]

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        yield from examine_topics(self._namer(route, self.topic), devices)
        yield from examine_topics(self._namer(route, self.history_topic), devices, "history_topic")
        if self.topic == self.history_topic:
            yield ConfigFinding(
                "history on the topic of newest values would pass for news; give it another", ("history_topic",)
            )
        yield from examine_identity(route, "messages of one tag each")
