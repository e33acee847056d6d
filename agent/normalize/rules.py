"""What the normalizer must know of a tag beside its name, compiled once from its keys."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from agent.normalize.convert import Convert, compile_convert, limits_of
from agent.settings.tags import PercentDeadband, TagBase

Report = Literal["every", "on_change"]
Differs = Callable[[object, object], bool]
#: How a column of values of such tags may be worked off at once. `each`: only value by value. `bounded`: plain numbers
#: with a range; the others may have one beside their arithmetic.
Kind = Literal["plain", "bounded", "linear", "rounded", "linear_rounded", "each"]


class Rule(NamedTuple):
    """Tags of one kind, ready to be applied. The first five fields, in this order, are what an ordinary value needs."""

    unit: str | None
    convert: Convert
    differs: Differs | None  #: None: publish every reading; else whether a value differs enough from the last
    enum: dict[int, str] | None
    silence: float  #: seconds after which an unchanged value is published again; 0: never
    enabled: bool
    kind: Kind
    scale: float | int
    offset: float | int
    digits: int | None
    low: float  #: least plausible value, after scale, offset and round; -infinity where any is
    high: float


def _beyond(band: float) -> Differs:
    """A number moved by at least `band`; anything else differs at all."""

    def differs(value: object, last: object) -> bool:
        if value == last:
            return False
        if type(value) in (int, float) and type(last) in (int, float):
            try:
                return abs(value - last) >= band  # type: ignore[operator,no-any-return]
            except OverflowError:
                return True
        return True

    return differs


def _beyond_percent(percent: float) -> Differs:
    """A number moved by at least `percent` of the last reported one. From zero, any movement counts."""
    share = percent / 100

    def differs(value: object, last: object) -> bool:
        if value == last:
            return False
        if type(value) in (int, float) and type(last) in (int, float):
            try:
                return abs(value - last) >= share * abs(last)  # type: ignore[operator,arg-type,no-any-return]
            except OverflowError:
                return True
        return True

    return differs


def _differs(tag: TagBase, report: Report) -> Differs | None:
    if isinstance(tag.deadband, PercentDeadband):
        return _beyond_percent(tag.deadband.percent)
    if tag.deadband is not None:
        return _beyond(tag.deadband)
    return operator.ne if (tag.report or report) == "on_change" else None


def compile_rules(tags: Iterable[TagBase], *, report: Report) -> list[Rule]:
    """The rules of these tags. `report` is for a tag that does not say.

    Tags of one kind share their rule: it has no state, and a device has hundreds of tags of a few kinds.
    """
    shared: dict[str, Rule] = {}
    converters: dict[str, Convert] = {}
    rules = []
    for tag in tags:
        limits = tag.range and (tag.range.min, tag.range.max)
        kind = (tag.scale, tag.offset, tag.round, limits, tag.null_values)
        whole = repr((kind, tag.unit, tag.deadband, tag.report, tag.max_silence, tag.enum, tag.enabled))
        rule = shared.get(whole)  # by text: in it 1 and 1.0 differ
        if rule is None:
            convert = converters.get(repr(kind))
            if convert is None:
                convert = converters[repr(kind)] = compile_convert(tag)
            rule = shared[whole] = _rule(tag, convert, report)
        rules.append(rule)
    return rules


def _rule(tag: TagBase, convert: Convert, report: Report) -> Rule:
    scale: float | int = 1 if tag.scale is None else tag.scale
    offset: float | int = 0 if tag.offset is None else tag.offset
    differs = _differs(tag, report)
    silence = tag.max_silence if tag.enabled and tag.max_silence is not None else 0.0
    low, high = limits_of(tag)
    kind: Kind = "each"
    if tag.enabled and not (differs or silence or tag.null_values or tag.enum):
        if scale != 1 or offset != 0:
            kind = "linear" if tag.round is None else "linear_rounded"
        else:
            kind = "rounded" if tag.round is not None else "plain" if tag.range is None else "bounded"
    return Rule(
        unit=tag.unit,
        convert=convert,
        differs=differs,
        enum=tag.enum or None,
        silence=silence,
        enabled=tag.enabled,
        kind=kind,
        scale=scale,
        offset=offset,
        digits=tag.round,
        low=low,
        high=high,
    )
