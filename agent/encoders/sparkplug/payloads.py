"""Births, data and deaths as bytes (specification 6.4). Pure; `data` is the hot path: no call per reading but `add`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from agent.core.flow import Reading
from agent.core.image import DeviceImage, TagInfo
from agent.encoders.common.values import finite, honest, not_finite
from agent.encoders.sparkplug.datatypes import DOUBLE_MAX, FLOAT_MAX, DataType, UnfitValueError, write
from agent.encoders.sparkplug.metrics import (
    AS_BOOL,
    AS_DOUBLE,
    AS_FLOAT,
    AS_INT,
    AS_LONG,
    AS_TEXT,
    Born,
    Standing,
)
from agent.encoders.sparkplug.node import BDSEQ, GAP, REBIRTH, VERSION
from agent.encoders.sparkplug.quality import NOTHING, Properties, describe
from agent.encoders.sparkplug.schema import Payload

_INT, _LONG = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_by_ts = attrgetter("ts")


class Payloads:
    """Makes payloads of one node. Times are epoch milliseconds; `now` is the time of sending."""

    def __init__(self, *, uint32_long: bool, typed_data: bool = False) -> None:
        self._typed_data = typed_data
        self._uint32_long = uint32_long
        self._properties = Properties()

    # --- the node -----------------------------------------------------------------------------------------------------

    def node_death(self, bdseq: int, now: int) -> bytes:
        """NDEATH: one metric, no seq."""
        payload = Payload(timestamp=now)
        _bdseq(payload, bdseq, now)
        return _bytes(payload)

    def node_birth(
        self, bdseq: int, version: str, aliases: Mapping[str, int], gap: tuple[int, str] | None, now: int
    ) -> bytes:
        """NBIRTH, seq 0. `gap`: time and words of the last declared loss; `aliases`: 0 is none."""
        payload = Payload(timestamp=now, seq=0)
        _bdseq(payload, bdseq, now)
        payload.metrics.add(name=REBIRTH, timestamp=now, datatype=DataType.BOOLEAN, boolean_value=False)
        payload.metrics.add(name=VERSION, timestamp=now, datatype=DataType.STRING, string_value=version)
        metric = payload.metrics.add(name=GAP, timestamp=now, datatype=DataType.STRING)
        for one in payload.metrics:
            if alias := aliases.get(one.name):
                one.alias = alias
        if gap is None:
            metric.is_null = True
        else:
            metric.timestamp, metric.string_value = min(gap[0], now), gap[1]  # no news
            payload.metrics.sort(key=attrgetter("timestamp"))
        return _bytes(payload)

    def node_gap(self, alias: int, value: str, seq: int, now: int) -> bytes:
        """NDATA that declares a loss."""
        payload = Payload(timestamp=now, seq=seq)
        metric = payload.metrics.add(timestamp=now, string_value=value)
        if self._typed_data:
            metric.datatype = DataType.STRING
        if alias:
            metric.alias = alias
        else:
            metric.name = GAP
        return _bytes(payload)

    # --- devices ------------------------------------------------------------------------------------------------------

    def device_birth(self, device: DeviceImage, born: Born, seq: int, now: int) -> bytes:
        """DBIRTH: every metric with name, alias, type, properties and current value. Raises UnfitError."""
        payload = Payload(timestamp=now, seq=seq)
        rows: list[tuple[int, TagInfo, Reading | None]] = []
        for info in device.tags:
            reading = device.newest.get(info.tag)
            rows.append((now if reading is None else reading.ts, info, reading))
        rows.sort(key=lambda row: row[0])
        for ts, info, reading in rows:
            slot = born.slots[info.tag]
            metric = payload.metrics.add(name=info.tag, timestamp=ts & _LONG, datatype=slot.kind)
            if slot.alias:
                metric.alias = slot.alias
            said = reading or Reading(tag=info.tag, value=None, ts=ts, quality="bad", code="BadWaitingForInitialData")
            self._birth_value(metric, slot.kind, honest(said), born)
            describe(metric, info.unit, info.description)
        return _bytes(payload)

    def _birth_value(self, metric: Any, kind: DataType, reading: Reading, born: Born) -> None:
        if reading.value is None:
            metric.is_null = True
        else:
            try:
                write(metric, kind, reading.value, uint32_long=self._uint32_long)
            except (TypeError, ValueError, OverflowError):
                raise UnfitValueError(reading.tag, reading.value) from None
        if reading.quality != "good" or reading.label is not None:
            said = self._properties.of(reading)
            metric.MergeFromString(said.merged)
            born.standing[reading.tag] = said.standing

    def device_death(self, seq: int, now: int) -> bytes:
        """DDEATH."""
        return _bytes(Payload(timestamp=now, seq=seq))

    def data(
        self, born: Born, readings: Sequence[Reading], *, historical: bool, seq: int, now: int
    ) -> tuple[bytes, int, Standing]:
        """DDATA, how many readings have no metric, and what stands at hosts once it is sent.

        Raises UnfitError where a value needs another type.
        """
        payload, standing = Payload(timestamp=now, seq=seq), born.standing.copy()
        if not self._fill(payload.metrics.add, born, readings, standing, historical=historical):
            # metrics stand in the order of their times; sources with clocks of their own do not answer so
            payload, standing = Payload(timestamp=now, seq=seq), born.standing.copy()
            self._fill(payload.metrics.add, born, sorted(readings, key=_by_ts), standing, historical=historical)
        return _bytes(payload), len(readings) - len(payload.metrics), standing

    def _fill(  # noqa: C901, PLR0912 - one loop: no call for each plain reading
        self, add: Any, born: Born, readings: Sequence[Reading], standing: Standing, *, historical: bool
    ) -> bool:
        """Whether the times were in order."""
        slots, typed = born.slots, self._typed_data
        last, ordered = 0, True
        reading = None
        try:
            for reading in readings:
                slot = slots.get(reading.tag)
                if slot is None:
                    continue
                alias, way, low, high, kind = slot
                metric = add()
                if alias:
                    metric.alias = alias
                else:
                    metric.name = reading.tag
                ts = reading.ts
                metric.timestamp = ts if ts >= 0 else ts & _LONG  # before 1970: as Java's long has it
                if ts < last:
                    ordered = False
                last = ts
                if typed:
                    metric.datatype = kind
                if historical:
                    metric.is_historical = True
                value = reading.value
                if value is None:
                    metric.is_null = True
                elif way == AS_DOUBLE and value.__class__ is float and -DOUBLE_MAX <= value <= DOUBLE_MAX:
                    metric.double_value = value
                elif way == AS_INT and value.__class__ is int and low <= value <= high:
                    metric.int_value = value & _INT
                elif way == AS_FLOAT and value.__class__ is float and -FLOAT_MAX <= value <= FLOAT_MAX:
                    metric.float_value = value
                elif way == AS_BOOL and (value is True or value is False):
                    metric.boolean_value = value
                elif way == AS_LONG and value.__class__ is int and low <= value <= high:
                    metric.long_value = value & _LONG
                elif way == AS_TEXT and value.__class__ is str:
                    metric.string_value = value
                else:
                    reading = self._odd(metric, kind, reading)  # noqa: PLW2901 - it may be bad after all
                if reading.quality != "good" or reading.label is not None or (standing and reading.tag in standing):
                    self._beside(metric, reading, standing, historical=historical)
        except (TypeError, ValueError, OverflowError):
            if reading is None:
                raise
            raise UnfitValueError(reading.tag, reading.value) from None
        return ordered

    def _odd(self, metric: Any, kind: DataType, reading: Reading) -> Reading:
        """A value that takes more than setting a field; one that cannot be written goes out as bad."""
        if finite(reading.value):
            write(metric, kind, reading.value, uint32_long=self._uint32_long)
            return reading
        metric.is_null = True
        return not_finite(reading)

    def _beside(self, metric: Any, reading: Reading, standing: Standing, *, historical: bool) -> None:
        """Quality and label. What was true then neither stands nor takes back anything."""
        before = NOTHING if historical else standing.get(reading.tag, NOTHING)
        merged, now = self._properties.of(reading, before)
        metric.MergeFromString(merged)
        if now is before or historical:
            return
        if now:
            standing[reading.tag] = now
        else:
            standing.pop(reading.tag, None)


def _bdseq(payload: Any, number: int, now: int) -> None:
    """Never with an alias: the NDEATH stands alone."""
    payload.metrics.add(name=BDSEQ, timestamp=now, datatype=DataType.INT64, long_value=number)


def _bytes(payload: Any) -> bytes:
    serialized: bytes = payload.SerializeToString()
    return serialized
