"""Topics of devices and tags: templates sanitised level by level, rendered once per tag. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from agent.core.ports import RouteInfo
from agent.encoders.common.renderer import Setting
from agent.settings.topics import ISA_95, Template
from agent.telemetry.logging import get_logger

log = get_logger("encoder")

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")

Sanitise = Callable[[str], str]


class UnplaceableError(ValueError):
    """A template asks for something this device does not have; words for people, `reason; hint`."""


def safe_level(text: str) -> str:
    """One level of a topic that every broker and every tool takes: what is not `A-Z a-z 0-9 . _ -` becomes `_`."""
    return _UNSAFE.sub("_", text)


def check_names(names: dict[str, str]) -> dict[str, str]:
    """`names:` of an encoder. ValueError says what is wrong."""
    for tag, name in names.items():
        if not _NAME.fullmatch(name):
            hint = "use A-Z a-z 0-9 . _ - (and / for more levels)"
            raise ValueError(f"{name!r}, the name of {tag!r}, is no level of a topic; {hint}")
    return names


def check_location(template: Template, device: str, location: Sequence[str]) -> None:
    """UnplaceableError where the template names a level that the device's location does not have."""
    for at, name in enumerate(ISA_95):
        if name in template.names and at >= len(location):
            raise UnplaceableError(
                f"{{{name}}} is level {at + 1} of a location, that of {device} is {'/'.join(location)}; give the "
                "device a longer `location:`, or write {location}"
            )


class Namer:
    """Topics of one route, from one template. `level` sanitises location and device, `tag` the tag."""

    def __init__(
        self,
        template: Template,
        route: RouteInfo,
        *,
        level: Sanitise = safe_level,
        tag: Sanitise = safe_level,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.per_tag = "tag" in template.names
        self.route = route
        self._template = template
        self._level = level
        self._tag = tag
        self._names = names or {}
        self.told: set[tuple[str, str]] = set()  #: devices and tags that a log was written about

    def of(self, device: str, location: Sequence[str], *, strict: bool = False) -> Callable[..., str]:
        """A function from tag (and a mark behind its level) to topic.

        `strict`: UnplaceableError where the location is too short.

        A device that is no longer configured may be, its records are still to be delivered: then the level is `_`.
        """
        values = self.values(device, location, strict=strict)
        template, names, sanitise = self._template, self._names, self._tag

        def topic(tag: str, mark: str = "") -> str:
            return template.render({**values, "tag": (names.get(tag) or sanitise(tag)) + mark})

        return topic

    def device(self, device: str, location: Sequence[str]) -> str:
        """The topic of a device, where the template names no tag."""
        return self._template.render(self.values(device, location))

    def values(self, device: str, location: Sequence[str], *, strict: bool = False) -> dict[str, str]:
        """The variables of one device, sanitised."""
        levels = [self._level(one) for one in location]
        if strict:
            check_location(self._template, device, location)
        return {
            "root": self.route.root,
            "agent": self._level(self.route.agent),
            "location": "/".join(levels),
            "device": self._level(device),
            **dict.fromkeys(ISA_95, "_"),
            **dict(zip(ISA_95, levels, strict=False)),
        }

    def raw(self, device: str, location: Sequence[str]) -> dict[str, str]:
        """The same as they are, for a payload; a level there is not is empty."""
        return {
            "root": self.route.root,
            "agent": self.route.agent,
            "location": "/".join(location),
            "device": device,
            **dict.fromkeys(ISA_95, ""),
            **dict(zip(ISA_95, location, strict=False)),
        }


class TagTopics:
    """Topics of all tags of a route's devices, rendered when they are first needed."""

    def __init__(self, namer: Namer, setting: Setting) -> None:
        self._namer = namer
        self._setting = setting
        self._devices: dict[str, _Topics] = {}

    def of(self, device: str) -> _Topics:
        """Topics of one device by tag."""
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = _Topics(self._namer, self._setting, device)
        return known

    def moved(self, device: str) -> None:
        """The device's location may have changed."""
        known = self._devices.get(device)
        if known is not None and known.location != tuple(self._setting.location(device)):
            del self._devices[device]


class _Topics(dict[str, str]):
    """Each tag of the catalogue has a topic of its own, also those a device was found to have: nobody could look at
    them when the configuration was read. The first in the catalogue keeps its level, others get a mark behind it.
    """

    def __init__(self, namer: Namer, setting: Setting, device: str) -> None:
        super().__init__()
        self.location = tuple(setting.location(device))
        self._namer = namer
        self._device = device
        self._render = namer.of(device, self.location)
        self._image = setting.image
        self._taken: set[str] = set()

    def __missing__(self, tag: str) -> str:
        if self._namer.per_tag and self._device in self._image.devices:
            self._place([info.tag for info in self._image.devices[self._device].tags if info.tag not in self])
        return self[tag] if tag in self else self.setdefault(tag, self._render(tag))

    def _place(self, tags: Sequence[str]) -> None:
        marked: dict[str, str] = {}
        for tag in tags:
            topic = self._render(tag)
            if topic in self._taken or "//" in topic or topic.endswith("/"):
                marked[tag] = topic
                topic = self._render(tag, f"_{blake2b(tag.encode('utf-8', 'replace'), digest_size=4).hexdigest()}")
            self._taken.add(topic)
            self[tag] = topic
        new = [tag for tag in marked if (self._device, tag) not in self._namer.told]
        if new:
            self._namer.told.update((self._device, tag) for tag in new)
            one = {"tag": new[0], "wanted": marked[new[0]], "topic": self[new[0]]}
            log.warning("encoder.topic_marked", device=self._device, tags=len(new), **one)
