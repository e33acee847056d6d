"""Which metrics a device has: alias, data type and how values are written, compiled at its birth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from agent.core.flow import Reading
from agent.core.image import DeviceImage, TagInfo
from agent.core.ports import Memo
from agent.encoders.common.values import finite
from agent.encoders.sparkplug.datatypes import LONG, RANGES, DataType, of_catalogue, of_value, wider, write
from agent.encoders.sparkplug.schema import Metric

_KEY = "sparkplug.types"

#: How the hot path writes a value.
AS_DOUBLE, AS_FLOAT, AS_INT, AS_LONG, AS_BOOL, AS_TEXT, AS_OTHER = range(7)
_WAYS = {
    DataType.DOUBLE: AS_DOUBLE,
    DataType.FLOAT: AS_FLOAT,
    DataType.BOOLEAN: AS_BOOL,
    DataType.STRING: AS_TEXT,
    DataType.UUID: AS_TEXT,
}


#: By tag: properties that hosts were told and that will have to be taken back (quality.py).
Standing = dict[str, tuple[str, ...]]


class Misfit(NamedTuple):
    """A value its metric's type cannot say."""

    tag: str
    known: DataType
    value: object


class Slot(NamedTuple):
    """One metric of a birth that is in force."""

    alias: int  #: 0: none, data names it
    way: int
    low: int
    high: int
    kind: DataType


class Aliases:
    """Numbers of metrics, from 1, unique over the node and stable as long as the agent runs."""

    def __init__(self, *, used: bool) -> None:
        self._used = used
        self._numbers: dict[tuple[str | None, str], int] = {}

    def of(self, device: str | None, name: str) -> int:
        """The metric's number; 0 where aliases are off."""
        return self._numbers.setdefault((device, name), len(self._numbers) + 1) if self._used else 0


class LearnedTypes:
    """Data types that values taught us (what was told as Int16 holds 61.2), remembered beyond restarts."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        try:
            stored = msgspec.json.decode(memo.get(_KEY) or b"{}", type=dict[str, dict[str, tuple[str | None, int]]])
            self._types = {
                device: {tag: (declared, DataType(number)) for tag, (declared, number) in tags.items()}
                for device, tags in stored.items()
            }
        except ValueError:  # an older or damaged note: learned again from the next values
            self._types = {}

    def of(self, device: DeviceImage, info: TagInfo) -> DataType:
        """Data type of a tag: learned, declared, or guessed from its newest value."""
        declared, learned = self._types.get(device.name, {}).get(info.tag, (None, None))
        if learned is not None and declared == info.type:
            return learned
        reading = device.newest.get(info.tag)
        return of_catalogue(info.type) or of_value(reading.value if reading is not None else None)

    def widen(self, device: DeviceImage, misfits: Iterable[Misfit]) -> dict[str, DataType]:
        """These values do not fit: from now on their tags have wider types. Only what really changes is returned."""
        declared = {info.tag: info.type for info in device.tags}
        grown: dict[str, DataType] = {}
        for tag, known, value in misfits:
            kind = wider(grown.get(tag, known), value)
            if kind is not known:
                grown[tag] = kind
        known_types = self._types.setdefault(device.name, {})
        known_types.update((tag, (declared.get(tag), kind)) for tag, kind in grown.items())
        if grown:
            self._memo.put(_KEY, msgspec.json.encode(self._types))
        return grown


class Born:
    """A device whose birth is in force."""

    def __init__(self, device: DeviceImage, aliases: Aliases, learned: LearnedTypes, *, uint32_long: bool) -> None:
        self.name = device.name
        self.tags: Sequence[TagInfo] = device.tags
        self.slots = {
            info.tag: _slot(aliases.of(device.name, info.tag), learned.of(device, info), uint32_long=uint32_long)
            for info in device.tags
        }
        self.standing: Standing = {}  #: never changed in place: what is not sent must not have been said
        self.floor = 0  #: records below this number are older than the birth
        self.passing = False  #: offline, born only so that its history can be told
        self.idle = 0  #: ticks without a record

    def misfits(self, readings: Iterable[Reading]) -> list[Misfit]:
        """Those whose value does not fit its metric."""
        scratch, found = Metric(), []
        for reading in readings:
            slot = self.slots.get(reading.tag)
            if slot is not None and reading.value is not None and finite(reading.value):
                try:
                    write(scratch, slot.kind, reading.value)
                except (TypeError, ValueError, OverflowError):
                    found.append(Misfit(reading.tag, slot.kind, reading.value))
        return found


def _slot(alias: int, kind: DataType, *, uint32_long: bool) -> Slot:
    low, high = RANGES.get(kind, (0, 0))
    if kind in RANGES:
        way = AS_LONG if kind in LONG or (uint32_long and kind is DataType.UINT32) else AS_INT
    else:
        way = _WAYS.get(kind, AS_OTHER)
    return Slot(alias, way, low, high, kind)
