"""What a converter makes: devices as the configuration has them, and what could not be carried over."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        self._numbers: dict[tuple[int, str], int] = {}  #: the last tried for a name that is taken, by what it is in

    def lose(self, item: str, text: str) -> None:
        """Something was not carried over."""
        self.notes.append(Note(item, text))

    def hint(self, item: str, text: str) -> None:
        """Something was carried over and should be looked at."""
        self.notes.append(Note(item, text, lost=False))

    @contextmanager
    def spared(self, item: str, what: str = "not of the expected form") -> Iterator[None]:
        """What is damaged in it, or of another form, costs this item only."""
        try:
            yield
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
            csv.Error,
        ) as error:
            why = f": there is no {error}" if isinstance(error, KeyError) else ""
            self.lose(item, what + (f": {error}" if isinstance(error, ValueError | csv.Error) else why))

    def device(self, name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
        """A device under a name that is allowed and free; its tags are put into what is returned."""
        plain = name_of(name)
        free = self._free(self.devices, plain, f"{plain[: LONGEST - 7]}-")
        made = {key: value for key, value in keys.items() if value is not None}
        if free != name and name:
            made.setdefault("description", name)
        tags: dict[str, Any] = {}
        self.devices[free] = {**made, "tags": tags}
        return tags

    def tag(self, tags: dict[str, Any], name: str, keys: Mapping[str, Any]) -> None:
        """A tag under a name that is free in its device."""
        free = self._free(tags, name, f"{name}_")
        tags[free] = {key: value for key, value in keys.items() if value is not None}

    def _free(self, taken: Mapping[str, object], name: str, stem: str) -> str:
        """The name, or the stem with the next number that nobody has."""
        free, number = name, self._numbers.get((id(taken), stem), 1)
        while free in taken:
            number += 1
            free = f"{stem}{number}"
        self._numbers[id(taken), stem] = number
        return free

    @property
    def count(self) -> int:
        """Tags in all, those that are found by their names too."""
        found = (device.get("browse", {}).get("include", ()) for device in self.devices.values())
        return sum(len(device["tags"]) for device in self.devices.values()) + sum(map(len, found))


def name_of(text: str) -> str:
    """A name of a device: 1 to 64 of `A-Z a-z 0-9 _ -`."""
    return _NO_NAME.sub("-", text).strip("-")[:LONGEST] or "device"


def duration(milliseconds: float) -> str:
    """As a configuration writes it."""
    whole = round(milliseconds)
    return f"{whole // 1000}s" if whole % 1000 == 0 and whole else f"{whole}ms"
