"""Values out of a device's own history → readings: converted like any other, said for the time the source gave them.

Nothing is remembered and nothing left out: they never stand for the present.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.core.flow import Answer, Batch, Reading, Sample
from agent.core.quality import name_of, quality_of
from agent.normalize.convert import Verdict
from agent.normalize.rules import Rule

_BAD = 0x80000000
_LABELLED = (int, float, bool)


def past_batch(device: str, names: Sequence[str], rules: Sequence[Rule], sample: Sample, cat: int) -> Batch | None:
    """What a sample of history says; None where nothing of it has a time."""
    readings = past_readings(names, rules, sample.history)
    if not readings:
        return None
    qualities = [reading.quality for reading in readings]
    bad, uncertain = qualities.count("bad"), qualities.count("uncertain")
    return Batch(device, sample.ts, readings, cat, bad=bad, uncertain=uncertain, backfill=True)


def past_readings(names: Sequence[str], rules: Sequence[Rule], answers: Sequence[Answer]) -> list[Reading]:
    """One reading for each value that has a source time."""
    readings = []
    for answer in answers:
        for place, (position, raw) in enumerate(zip(answer.tags, answer.values, strict=True)):
            when = None if answer.src is None else answer.src[place]
            if when is None:
                continue
            status = answer.status if isinstance(answer.status, int) else answer.status[place]
            words = answer.reason.get(place) if isinstance(answer.reason, Mapping) else answer.reason
            readings.append(_reading(names[position], rules[position], raw, when, status, words))
    return readings


def _reading(name: str, rule: Rule, raw: object, when: int, status: int, reason: str | None) -> Reading:
    value: object = None
    if status < _BAD:
        value, reason = rule.convert(raw), None
        if type(value) is Verdict:
            if value.status >= _BAD or quality_of(status) == "good":
                status, reason = value.status, value.reason
            value = value.value
    label = rule.enum.get(value) if rule.enum and type(value) in _LABELLED else None  # type: ignore[call-overload]
    return Reading(
        tag=name,
        value=value,
        ts=when,
        quality=quality_of(status),
        unit=rule.unit,
        label=label,
        code=name_of(status) if status else None,
        status=status or None,
        reason=reason,
    )
