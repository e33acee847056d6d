"""The normalizer, slow and obviously right: one value at a time, one rule after the other, nothing cached."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from agent.core.flow import Batch, Reading, Sample
from agent.core.quality import name_of, number_of, quality_of
from agent.settings.tags import PercentDeadband, TagBase


class Remembered:
    """What is known of one tag."""

    def __init__(self) -> None:
        self.why: Any = "initial"  # of the next reading
        self.ts: int | None = None  # newest one said
        self.value: Any = None
        self.status = 0
        self.reason: str | None = None
        self.src: int | None = None
        self.arrived = 0
        self.reported: Any = None
        self.said: float | None = None


class Reference:
    """Same contract as `compile_normalizer(...)`; `monotonic` is passed with every sample."""

    def __init__(self, tags: Mapping[str, TagBase], *, report: str = "every") -> None:
        self.tags = list(tags.items())
        self.report = report
        self.known = [Remembered() for _ in self.tags]
        self.lost = False
        self.labels: dict[int, Mapping[int, str]] = {}

    def __call__(self, sample: Sample, monotonic: float) -> Batch | None:
        readings: list[Reading] = []
        self.labels.update(sample.labels or {})
        if sample.outage is not None and not self.lost:
            self.lost = True
            for (name, tag), known in zip(self.tags, self.known, strict=True):
                if tag.enabled:
                    known.value, known.status, known.reason = None, number_of("BadNoCommunication"), sample.outage
                    known.arrived = sample.ts
                    readings.append(self.said(name, tag, known, sample.ts, known.src, "offline", monotonic, sample.ts))
                    known.why = "recovered"
        for answer in sample.answers:
            self.lost = False
            for place, position in enumerate(answer.tags):
                status = answer.status if isinstance(answer.status, int) else answer.status[place]
                src = None if answer.src is None else answer.src[place]
                doubt = None if answer.doubted is None else answer.doubted[place]
                reason = answer.reason if isinstance(answer.reason, str | None) else answer.reason.get(place)
                reading = self.one(position, answer.values[place], status, src, doubt, answer.ts, reason, monotonic)
                if reading is not None:
                    readings.append(reading)
        for (name, tag), known in zip(self.tags, self.known, strict=True):
            if tag.max_silence and tag.enabled and known.said is not None and monotonic - known.said >= tag.max_silence:
                own = known.arrived if known.src is None else known.src
                readings.append(self.said(name, tag, known, sample.ts, own, "heartbeat", monotonic, sample.ts))
        if not readings:
            return None
        return Batch(
            device="d",
            ts=sample.ts,
            readings=readings,
            cat=7,
            bad=sum(reading.quality == "bad" for reading in readings),
            uncertain=sum(reading.quality == "uncertain" for reading in readings),
        )

    def one(self, position, raw, status, src, doubt, ts, reason, monotonic):
        name, tag = self.tags[position]
        known = self.known[position]
        value = None
        if quality_of(status) != "bad":
            reason = None
            value, own, why_not = convert(tag, raw)
            if quality_of(own) == "bad" or (own and quality_of(status) == "good"):
                status, reason = own, why_not
        on_change = tag.deadband is not None or (tag.report or self.report) == "on_change"
        why = known.why
        if not tag.enabled and name_of(status) == "BadOutOfService":
            why = "disabled"
        same = name_of(status) == name_of(known.status) and (
            quality_of(status) == "bad" or not moved(tag, value, known.reported)
        )
        quiet = why is None and on_change and same
        known.value, known.status, known.reason, known.arrived = value, status, reason, ts
        known.src = src if doubt is None else doubt
        known.why = None
        if quiet:
            if not (
                tag.max_silence and tag.enabled and known.said is not None and monotonic - known.said >= tag.max_silence
            ):
                return None
            why = "heartbeat"
        when = src if why is None and src is not None and doubt is None else ts
        return self.said(name, tag, known, when, known.src, why, monotonic, ts)

    def said(self, name, tag, known, when, src, why, monotonic, arrival) -> Reading:
        last = known.ts
        if last is not None:
            if when == last:
                when = last + 1
                if when > arrival + 1000:
                    when = last
            elif when < last:
                when = max(arrival, last + 1)
                if when > arrival + 1000:
                    when = last
        known.ts, known.reported, known.said = when, known.value, monotonic
        label = None
        texts = tag.enum or self.labels.get(self.known.index(known))
        if texts and isinstance(known.value, int | float | bool):
            label = texts.get(known.value)  # type: ignore[arg-type]  # 1.0 is 1
        return Reading(
            tag=name,
            value=known.value,
            ts=when,
            quality=quality_of(known.status),
            src=src if src != when else None,
            unit=tag.unit,
            label=label,
            code=name_of(known.status) if known.status else None,
            status=known.status or None,
            reason=known.reason,
            why=why,
        )


def moved(tag: TagBase, value: Any, last: Any) -> bool:
    """Whether on_change says `value` after `last`."""
    if value == last:
        return False
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, last))
    if tag.deadband is None or not numbers:
        return True
    band = tag.deadband.percent / 100 * abs(last) if isinstance(tag.deadband, PercentDeadband) else tag.deadband
    return bool(abs(value - last) >= band)


def is_null(tag: TagBase, raw: Any) -> str | None:
    """The status code's name where `raw` is a sentinel."""
    given = tag.null_values or {}
    codes: Mapping[Any, str] = given if isinstance(given, dict) else dict.fromkeys(given, "BadNoData")
    found = None
    for sentinel, code in codes.items():
        meant: Any = sentinel
        if isinstance(raw, float) and isinstance(sentinel, str) and sentinel.lower() in ("nan", "inf", "-inf"):
            meant = float(sentinel)
        if isinstance(meant, float) and isinstance(raw, float) and math.isnan(meant) and math.isnan(raw):
            found = code
        if isinstance(raw, bool | list):
            continue
        if raw == meant:
            found = code
        if isinstance(meant, float) and abs(meant) < 3e38 and raw == struct.unpack("f", struct.pack("f", meant))[0]:
            found = code
    return found


Converted = tuple[Any, int, str | None]  # value, status of our own (0: none), reason


def bad(name: str, reason: str | None) -> Converted:
    return None, number_of(name), reason


def convert(tag: TagBase, raw: Any) -> Converted:  # noqa: PLR0911 - one rule after the other
    """Sentinels, then arithmetic, then the range."""
    if isinstance(raw, list):
        return array(tag, raw)
    if raw is None:
        return bad("BadNoData", "no value")
    code = is_null(tag, raw)
    if code is not None:
        return bad(code, f"the raw value {raw!r} means no value")
    scaled = (tag.scale is not None and tag.scale != 1) or (tag.offset is not None and tag.offset != 0)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return number(tag, raw, scaled=scaled)
    if isinstance(raw, dict):
        return structure(raw, plain=not scaled and tag.range is None)
    if not isinstance(raw, bool | str | bytes):
        return bad("BadDataEncodingUnsupported", f"a value of type {type(raw).__name__} cannot be carried")
    if scaled or tag.range is not None:
        word = {bool: "a boolean", str: "a string", bytes: "a byte string"}[type(raw)]
        return bad("BadTypeMismatch", f"scale, offset and range need a number, the device sent {word}")
    if isinstance(raw, str) and any(0xD800 <= ord(char) < 0xE000 for char in raw):
        return bad("BadDecodingError", "a text with half characters (lone surrogates)")
    return raw, 0, None


def array(tag: TagBase, raw: list[Any]) -> Converted:
    """One bad element spoils the array."""
    parts = [convert(tag, element) for element in raw]
    for at, (_, status, reason) in enumerate(parts):
        if quality_of(status) == "bad":
            return None, status, f"element {at}: {reason}"
    return [value for value, _, _ in parts], max((status for _, status, _ in parts), default=0), None


def structure(raw: dict[str, Any], *, plain: bool) -> Converted:
    """Fields as they are; one that cannot be carried spoils the structure."""
    if not plain:
        return bad("BadTypeMismatch", "scale, offset and range need a number, the device sent a structure")
    for name, member in raw.items():
        _, status, reason = (None, 0, None) if member is None else convert(TagBase(), member)
        if quality_of(status) == "bad":
            return None, status, f"{name}: {reason}"
    return raw, 0, None


def number(tag: TagBase, raw: Any, *, scaled: bool) -> Converted:
    """Arithmetic, rounding, range."""
    value = raw
    if scaled:
        try:
            value = raw * (1 if tag.scale is None else tag.scale) + (0 if tag.offset is None else tag.offset)
        except OverflowError:
            return bad("BadOutOfRange", "too large a number")
    if isinstance(value, float) and not math.isfinite(value):
        word = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return bad("BadOutOfRange", f"{word} is not a number to publish")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return bad("BadOutOfRange", "an integer that does not fit 64 bits")
    if tag.round is not None and isinstance(value, float):
        value = round(value, tag.round)
    low, high = (tag.range.min, tag.range.max) if tag.range is not None else (None, None)
    if (low is not None and value < low) or (high is not None and value > high):
        return value, number_of("UncertainEngineeringUnitsExceeded"), None
    return value, 0, None


def by_tag(readings: Sequence[Reading]) -> dict[str, list[Reading]]:
    """Readings of each tag in order: within one answer, only the order of one tag's readings counts."""
    sorted_: dict[str, list[Reading]] = {}
    for reading in readings:
        sorted_.setdefault(reading.tag, []).append(reading)
    return dict(sorted(sorted_.items()))
