"""What a converter makes: devices as the configuration has them, and what could not be carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST = 64


class Note(NamedTuple):
    """One thing that was not carried over, or that somebody should look at."""

    item: str  #: where it stands in the foreign configuration
    text: str
    lost: bool = True  #: False: carried over, but to be looked at


class Converted:
    """Devices by name, and the notes."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Any]] = {}
        self.notes: list[Note] = []

    def lose(self, item: str, text: str) -> None:
        """Something was not carried over."""
        self.notes.append(Note(item, text))

    def hint(self, item: str, text: str) -> None:
        """Something was carried over and should be looked at."""
        self.notes.append(Note(item, text, lost=False))

    def device(self, name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
        """A device under a name that is allowed and free; its tags are put into what is returned."""
        plain = name_of(name)
        free, number = plain, 2
        while free in self.devices:
            free, number = f"{plain[: LONGEST - 4]}-{number}", number + 1
        made = {key: value for key, value in keys.items() if value is not None}
        if free != name and name:
            made.setdefault("description", name)
        tags: dict[str, Any] = {}
        self.devices[free] = {**made, "tags": tags}
        return tags

    def tag(self, tags: dict[str, Any], name: str, keys: Mapping[str, Any]) -> None:
        """A tag under a name that is free in its device."""
        free, number = name, 2
        while free in tags:
            free, number = f"{name}_{number}", number + 1
        tags[free] = {key: value for key, value in keys.items() if value is not None}

    @property
    def count(self) -> int:
        """Tags in all."""
        return sum(len(device["tags"]) for device in self.devices.values())


def name_of(text: str) -> str:
    """A name of a device: 1 to 64 of `A-Z a-z 0-9 _ -`."""
    return _NO_NAME.sub("-", text).strip("-")[:LONGEST] or "device"


def duration(milliseconds: float) -> str:
    """As a configuration writes it."""
    whole = round(milliseconds)
    return f"{whole // 1000}s" if whole % 1000 == 0 and whole else f"{whole}ms"
