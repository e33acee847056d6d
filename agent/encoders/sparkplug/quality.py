"""Quality of a metric as the standard's property: 0 BAD, 192 GOOD, 500 STALE; absent means GOOD (6.4.17).

Uncertain values are STALE for a host: usable, but not as they should be. The OPC UA status stands beside it as `Code`,
what a device said as `Reason`.
"""

from __future__ import annotations

from typing import Any

from agent.core.flow import Reading
from agent.encoders.sparkplug.datatypes import DataType
from agent.encoders.sparkplug.schema import PropertySet

BAD, GOOD, STALE = 0, 192, 500
_MOST = 1000  # distinct sets kept


def _text(properties: Any, key: str, text: str) -> None:
    properties.keys.append(key)
    properties.values.add(type=DataType.STRING, string_value=text.encode("utf-8", "replace").decode())


def _number(properties: Any, key: str, number: int) -> None:
    properties.keys.append(key)
    properties.values.add(type=DataType.INT32, int_value=number)


class Qualities:
    """Ready property sets, made once each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None, str | None], Any] = {}
        self.good = PropertySet()
        _number(self.good, "Quality", GOOD)

    def of(self, reading: Reading) -> Any:
        """The properties of a reading that is not good."""
        key = (reading.quality, reading.code, reading.reason)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:  # reasons with numbers in them
                self._known.clear()
            known = self._known[key] = PropertySet()
            _number(known, "Quality", STALE if reading.quality == "uncertain" else BAD)
            if reading.code is not None:
                _text(known, "Code", reading.code)
            if reading.reason is not None:
                _text(known, "Reason", reading.reason)
        return known


def describe(metric: Any, unit: str | None, description: str | None) -> None:
    """Engineering unit and description, in births."""
    if unit is not None:
        _text(metric.properties, "engUnit", unit)
    if description is not None:
        _text(metric.properties, "documentation", description)
