"""`type: template`: the user's own shape, compiled when the configuration is read (docs/encoders.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from agent.core.ports import Encoder, RouteInfo
from agent.encoders.common.config import AroundConfig
from agent.encoders.common.examine import examine_identity, examine_topics
from agent.encoders.common.naming import Namer, check_names
from agent.encoders.template.shape import READINGS, Shape, check_shape, clash
from agent.encoders.template.variables import QUALITY_WORDS, READING_WORDS, RECORD_WORDS
from agent.settings.publishers import Carried, ConfigFinding
from agent.settings.topics import filter_of, topic_template

__all__ = ["TemplateConfig"]


def _check_topic(value: str) -> str:
    topic_template(value)
    return value


class TemplateConfig(AroundConfig):
    """JSON of any shape: text in braces stands for what a reading or its record says."""

    type: Literal["template"]
    """JSON of your own shape."""
    topic: Annotated[str, AfterValidator(_check_topic)] = "{root}/{location}/{device}/data"
    """Topic; with {tag} in it (and without `message:`) one of each tag."""
    reading: Any
    """Shape of a reading: mappings, lists and texts; `"{value}"` stands for the value itself."""
    message: Any = None
    """Shape of a record, with `"{readings}"` where its readings go; without it each reading is a message."""
    names: Annotated[dict[str, str], AfterValidator(check_names)] = Field(default={})
    """Levels for tags whose own name is no good as one (`温度: temperature`)."""

    @field_validator("reading")
    @classmethod
    def _check_reading(cls, value: object) -> object:
        check_shape(value, READING_WORDS)
        return value

    @field_validator("message")
    @classmethod
    def _check_message(cls, value: object) -> object:
        if value is None:
            return None
        words = check_shape(value, (*RECORD_WORDS, READINGS))
        if words.count(READINGS) != 1:
            raise ValueError(f'"{{{READINGS}}}" must stand in the message exactly once; it is the list of readings')
        return value

    @model_validator(mode="after")
    def _one_topic_a_message(self) -> TemplateConfig:
        if self.message is not None and "tag" in topic_template(self.topic).names:
            raise ValueError("a message of many readings has no {tag} in its topic; leave out `message:` or {tag}")
        return self

    def build(self, route: RouteInfo) -> Encoder:
        from agent.encoders.common.dialogue import StatusEncoder
        from agent.encoders.template.renderer import TemplateRenderer

        reading = Shape(self.reading)
        message = Shape(self.message) if self.message is not None else None
        make = partial(TemplateRenderer, namer=self._namer(route), reading=reading, message=message)
        return StatusEncoder(route, make)

    def _namer(self, route: RouteInfo) -> Namer:
        return Namer(topic_template(self.topic), route, names=self.names)

    def namers(self, route: RouteInfo) -> list[Namer]:
        return [self._namer(route)]

    def filters(self, route: RouteInfo) -> list[str]:
        return [filter_of(topic_template(self.topic), root=route.root, agent=route.agent)]

    def examine(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        namer = self._namer(route)
        yield from examine_topics(namer, devices)
        words = {*check_shape(self.reading, READING_WORDS)}
        if self.message is not None:
            words |= {*check_shape(self.message, (*RECORD_WORDS, READINGS))}
        yield from self._clashes(namer, devices)
        in_topic = topic_template(self.topic).names
        if not words & QUALITY_WORDS:
            yield ConfigFinding(
                "the shape says nothing of the quality: uncertain values pass as good", ("reading",), wrong=False
            )
        if len(devices) > 1 and "device" not in words | in_topic:
            yield ConfigFinding(
                "neither topic nor message names the device: nobody can tell them apart", ("topic",), wrong=False
            )
        if "tag" not in words | in_topic:
            yield ConfigFinding("neither topic nor reading names the tag; put {tag} into the reading", ("reading",))
        yield from examine_identity(route, "messages of your own shape")

    def _clashes(self, namer: Namer, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        """Keys that are one where a name stands for their variable: the first of each shape."""
        for device, carried in devices.items():
            names = namer.raw(device, carried.location)
            found = {"message": clash(self.message, names), "reading": None}
            for tag in carried.tags or [""]:
                found["reading"] = found["reading"] or clash(self.reading, {**names, "tag": tag})
            for key, text in found.items():
                if text is not None:
                    yield ConfigFinding(
                        f"{device}: the key {text!r} would stand there twice; give one another name", (key,)
                    )
            if any(text is not None for text in found.values()):
                return
