"""`type: umh`: the United Manufacturing Hub, one tag, one message, one topic (docs/encoders.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.core.ports import Encoder, RouteInfo
from agent.encoders.common.config import AroundConfig
from agent.encoders.common.examine import examine_identity, examine_topics
from agent.encoders.common.naming import Namer, check_names
from agent.settings.publishers import Carried, ConfigFinding
from agent.settings.topics import TAG_VARIABLES, filter_of, topic_template

__all__ = ["UmhConfig"]

_LEVEL = re.compile(r"[^A-Za-z0-9_-]")
_CONTRACT = re.compile(r"umh/v1/.*/_[A-Za-z0-9_-]+/.*")


def _check_topic(value: str) -> str:
    template = topic_template(value)
    if "tag" not in template.names:
        raise ValueError("one topic per tag is what UMH wants; put {tag} into it")
    if not _CONTRACT.fullmatch(value) or "." in value:
        raise ValueError(
            f"{value!r} is no topic of UMH; write umh/v1/, the location, a data contract that begins with _, the tag"
        )
    return value


def _level(text: str) -> str:
    """A level of the location: UMH takes `A-Z a-z 0-9 _ -`, and an underscore in front marks the data contract."""
    return _LEVEL.sub("_", text).lstrip("_")


def _tag(text: str) -> str:
    """`.` and `/` in a tag's name make a virtual path, as they do in UMH's own bridges."""
    return "/".join(_LEVEL.sub("_", part) for part in re.split(r"[./]", text) if part)


class UmhConfig(AroundConfig):
    """Payload exactly `{"timestamp_ms": …, "value": …}`; what that cannot carry goes to `{topic}/apart`."""

    type: Literal["umh"]
    """United Manufacturing Hub: one topic per tag."""
    topic: Annotated[str, AfterValidator(_check_topic)] = "umh/v1/{location}/{device}/_raw/{tag}"
    """Topic of a tag."""
    names: Annotated[dict[str, str], AfterValidator(check_names)] = Field(default={})
    """Levels for tags whose own name is no good as one (`温度: temperature`)."""
    uncertain: Literal["send", "apart"] = "send"
    """Uncertain values: like good ones (MQTT 5 carries the quality beside them), or to `{topic}/apart`."""

    def build(self, route: RouteInfo) -> Encoder:
        from agent.encoders.common.dialogue import StatusEncoder
        from agent.encoders.umh.renderer import UmhRenderer

        return StatusEncoder(route, partial(UmhRenderer, namer=self.namer(route), uncertain=self.uncertain == "send"))

    def namer(self, route: RouteInfo) -> Namer:
        """Topics of the tags of this route."""
        return Namer(topic_template(self.topic, TAG_VARIABLES), route, level=_level, tag=_tag, names=self.names)

    def namers(self, route: RouteInfo) -> list[Namer]:
        return [self.namer(route)]

    def filters(self, route: RouteInfo) -> list[str]:
        return [filter_of(topic_template(self.topic), root=route.root, agent=route.agent)]

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        yield from examine_topics(self.namer(route), devices)
        yield from examine_identity(route, "messages of one tag each")
