"""A device as it is shown to people: its tags with their newest readings, and which of them stand for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from agent.core.flow import Reading
from agent.core.image import DeviceImage, TagInfo

#: So many tags stand for a device in an overview, looked for among its first ones.
TELLING, _AMONG = 2, 100
#: Whole numbers up to here a browser shows exactly.
_EXACT = 1 << 53

Shown = tuple[object, str, int]  #: value, quality, ts


def telling(device: DeviceImage) -> list[str]:
    """The first tags that change and are numbers; where nothing is known of their values, the first that change."""
    changing = [info for info in islice(device.tags, _AMONG) if info.interval != "once"]
    numbers = (info.tag for info in changing if _is_number(info, device.newest.get(info.tag)))
    return list(islice(numbers, TELLING)) or [info.tag for info in changing[:TELLING]]


def units(device: DeviceImage, tags: Iterable[str]) -> dict[str, str]:
    """Of those of these tags that have one."""
    known = {info.tag: info.unit for info in islice(device.tags, _AMONG)}
    read = ((tag, device.newest.get(tag)) for tag in tags)
    found = {tag: known.get(tag) if reading is None or reading.unit is None else reading.unit for tag, reading in read}
    return {tag: unit for tag, unit in found.items() if unit is not None}


def words(device: DeviceImage, tags: Iterable[str]) -> dict[str, tuple[object, str]]:
    """Values of these tags that have a word, and it: a stream brings values alone."""
    read = ((tag, device.newest.get(tag)) for tag in tags)
    return {tag: (exact(one.value), one.label) for tag, one in read if one is not None and one.label is not None}


def _is_number(info: TagInfo, reading: Reading | None) -> bool:
    if reading is not None and reading.value is not None:
        return isinstance(reading.value, int | float) and not isinstance(reading.value, bool)
    return info.type is not None and info.type.startswith(("int", "uint", "float", "double", "number"))


def exact(value: object) -> object:
    """The value as JSON that no browser rounds."""
    if type(value) is int and not -_EXACT <= value <= _EXACT:
        return str(value)
    if isinstance(value, list | tuple):
        return [exact(one) for one in value]
    return value


def newest(device: DeviceImage, tags: Iterable[str] | None) -> dict[str, Shown]:
    """The shortest form of the newest readings, of these tags (None: of all). Called each second for all that viewers
    look at: for what most values are nothing is called in the loop.
    """
    readings = device.newest
    found: dict[str, Shown] = {}
    for tag in readings if tags is None else tags:
        reading = readings.get(tag)
        if reading is not None:
            value = reading.value
            if value.__class__ is not float and (value.__class__ is not int or not -_EXACT <= value <= _EXACT):
                value = exact(value)
            found[tag] = value, reading.quality, reading.ts
    return found


def tags_of(device: DeviceImage, now: int, where: Callable[[str], str | None]) -> dict[str, Any]:
    """All tags by name, in the order of the catalogue; one that was not read yet waits for its first value."""
    tags = {info.tag: dict(_tag(info, device.newest.get(info.tag), now, where(info.tag))) for info in device.tags}
    return {"device": device.name, "ts": now, "cat": device.cat, "tags": tags}


def _tag(info: TagInfo, reading: Reading | None, now: int, where: str | None) -> Iterator[tuple[str, object]]:
    if reading is None:
        code = "BadWaitingForInitialData"
        reading = Reading(info.tag, None, now, "bad", unit=info.unit, code=code, why="initial")
    yield "value", exact(reading.value)
    yield "quality", reading.quality
    yield "ts", reading.ts
    yield "src", reading.src
    yield "unit", reading.unit if reading.unit is not None else info.unit
    yield "label", reading.label
    rest: Mapping[str, object] = {
        "type": info.type, "description": info.description, "interval": info.interval, "address": where,
        "code": reading.code, "reason": reading.reason, "why": reading.why,
    }  # fmt: skip
    yield from ((key, value) for key, value in rest.items() if value is not None)
