"""Properties of a metric beside its value.

`Quality` is the standard's: 0 BAD, 192 GOOD, 500 STALE; absent means GOOD (6.4.17). Uncertain values are STALE for a
host: usable, but not as they should be. Beside it stand the OPC UA status as `Code`, what a device said as `Reason`,
and the text of an enumerated value as `Label`: the standard has no place of its own for it.

Hosts keep the properties they were told last. So what does not hold any more is taken back once: GOOD, or null.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from agent.core.flow import Reading
from agent.encoders.sparkplug.datatypes import DataType
from agent.encoders.sparkplug.schema import Metric

BAD, GOOD, STALE = 0, 192, 500
QUALITY, CODE, REASON, LABEL = "Quality", "Code", "Reason", "Label"
_MOST = 1000  # distinct sets kept

Keys = tuple[str, ...]


NOTHING: Keys = ()


class Said(NamedTuple):
    """A ready property set, and which keys of it will have to be taken back."""

    merged: bytes  #: a metric of nothing but the properties: to merge it costs half of what copying the set does
    standing: Keys


class Properties:
    """Ready property sets, made once each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None, str | None, str | None, Keys], Said] = {}

    def of(self, reading: Reading, standing: Keys = NOTHING) -> Said:
        """What to say of a reading where `standing` was said before."""
        key = (reading.quality, reading.code, reading.reason, reading.label, standing)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:  # reasons with numbers in them
                self._known.clear()
            known = self._known[key] = _made(reading, standing)
        return known


def _made(reading: Reading, standing: Keys) -> Said:
    metric = Metric()
    properties = metric.properties
    if reading.quality != "good":
        _number(properties, QUALITY, STALE if reading.quality == "uncertain" else BAD)
        _texts(properties, {CODE: reading.code, REASON: reading.reason})
    _texts(properties, {LABEL: reading.label})
    now = tuple(properties.keys)
    for key in standing:
        if key == QUALITY and key not in now:
            _number(properties, QUALITY, GOOD)
        elif key not in now:
            properties.keys.append(key)
            properties.values.add(type=DataType.STRING, is_null=True)
    return Said(metric.SerializeToString() if properties.keys else b"", now)


def describe(metric: Any, unit: str | None, description: str | None) -> None:
    """Engineering unit and description, in births."""
    _texts(metric.properties, {"engUnit": unit, "documentation": description})


def _texts(properties: Any, texts: dict[str, str | None]) -> None:
    for key, text in texts.items():
        if text is not None:
            properties.keys.append(key)
            properties.values.add(type=DataType.STRING, string_value=text.encode("utf-8", "replace").decode())


def _number(properties: Any, key: str, number: int) -> None:
    properties.keys.append(key)
    properties.values.add(type=DataType.INT32, int_value=number)
