"""All tags of a device as points: references resolved, poll groups and triggered groups made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from agent.collectors.common.polling import poll_groups
from agent.collectors.modbus.blocks.plan import AddressRange, BlockLimits, unreadable
from agent.collectors.modbus.tags.address import parse_address
from agent.collectors.modbus.tags.points import ModbusPoint
from agent.collectors.modbus.tags.tag import ModbusTag, ReadOn, Shared

_RANGE = re.compile(r"(.*?)(?:-(0[xX][0-9a-fA-F]+|[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Points that are read when a bit changes."""

    bit: int  #: position of the tag that is watched
    rising: bool
    falling: bool
    settle: float
    points: tuple[ModbusPoint, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is read, and when."""

    names: tuple[str, ...]  #: by position; behind the tags: what is read for their sake
    tags: int  #: how many of them are tags
    groups: tuple[tuple[float | None, tuple[ModbusPoint, ...]], ...]  #: interval (None: once) and points
    triggers: tuple[Trigger, ...] = ()
    unread: Mapping[int, str] = field(default_factory=dict)  #: positions that lie in `never_read`, and where


def parse_range(text: str) -> AddressRange:
    """Offsets written `holding:100`, `holding:100-110` (both included). ValueError says what to write instead."""
    match = _RANGE.fullmatch(text.strip())
    start, last = match.groups() if match else (text, None)
    address = parse_address(start)
    if address.bit is not None:
        raise ValueError(f'"{text}": a register is read whole; write "{address.area}:{address.offset}"')
    end = address.offset if last is None else int(last, 0)
    if not address.offset <= end <= 0xFFFF:
        raise ValueError(f'"{text}" ends before it begins, or beyond 65535; write for example "holding:100-110"')
    return AddressRange(address.area, address.offset, end + 1)


def lay_out(tags: Mapping[str, ModbusTag], shared: Shared, limits: BlockLimits, interval: float) -> Layout:
    """The layout of a device. ValueError names the tag that cannot be read as it is configured."""
    return _Layout(tags, shared, limits, interval).made()


class _Layout:
    def __init__(self, tags: Mapping[str, ModbusTag], shared: Shared, limits: BlockLimits, interval: float) -> None:
        self._tags = tags
        self._shared = shared
        self._limits = limits
        self._interval = interval
        self._names = list(tags)
        self._at = {name: position for position, name in enumerate(tags)}
        self._list = list(tags.values())
        self._unread = {
            position: str(hit)
            for position, tag in enumerate(self._list if limits.never else ())
            if (hit := self._forbidden(tag)) is not None
        }

    def made(self) -> Layout:
        for name, tag in self._tags.items():
            if tag.scale_from is not None:
                self._source(name, tag.scale_from)
        groups: list[tuple[float | None, tuple[ModbusPoint, ...]]] = []
        for group in poll_groups(self._list, self._interval):
            polled = [position for position in group.positions if self._list[position].read_on is None]
            if polled:
                groups.append((group.interval, self._points(polled)))
        triggers = tuple(self._triggers())
        for _, points in groups:
            self._check(points)
        for trigger in triggers:
            self._check(trigger.points)
        self._check_groups([points for _, points in groups] + [trigger.points for trigger in triggers])
        return Layout(tuple(self._names), len(self._tags), tuple(groups), triggers, self._unread)

    def _forbidden(self, tag: ModbusTag) -> AddressRange | None:
        address = tag.address
        for span in self._limits.never:
            if span.area == address.area and span.first < address.offset + tag.size and address.offset < span.end:
                return span
        return None

    # --- scale factors ------------------------------------------------------------------------------------------------

    def _points(self, positions: Sequence[int]) -> tuple[ModbusPoint, ...]:
        """Points of one group, and the scale factors that are read with them."""
        here = set(positions)
        points: list[ModbusPoint] = []
        extra: dict[str, ModbusPoint] = {}
        for position in positions:
            tag = self._list[position]
            factor = None
            if tag.scale_from is not None:
                factor = self._factor(self._names[position], tag.scale_from, here, extra)
            points.append(tag.point(position, self._shared, factor=factor))
        return (*points, *extra.values())

    def _factor(self, name: str, reference: str, here: set[int], extra: dict[str, ModbusPoint]) -> int:
        """The position of the scale factor: a tag of the same group, or one read for its sake."""
        position = self._at.get(reference)
        if position is not None and position in here:
            return position
        if reference not in extra:
            source = self._source(name, reference)
            point = source.point(len(self._names), self._shared)
            extra[reference] = replace(point, form=replace(point.form, alone=False), group=None)
            self._names.append(f"scale factor {reference}")
        return extra[reference].position

    def _source(self, name: str, reference: str) -> ModbusTag:
        if ":" in reference and reference not in self._tags:
            return ModbusTag(address=parse_address(reference), type="int16")
        source = self._tags.get(reference)
        if source is None:
            raise ValueError(f"tag {name!r}: scale_from: there is no tag {reference!r}; name one of this device")
        if source.data_type not in ("int16", "uint16") or source.count or source.bits:
            raise ValueError(f"tag {name!r}: scale_from: {reference!r} is no int16; a scale factor is a whole number")
        return source

    # --- triggers -----------------------------------------------------------------------------------------------------

    def _triggers(self) -> Iterator[Trigger]:
        found: dict[tuple[str, str, str | None, float], list[int]] = {}
        for position, tag in enumerate(self._list):
            if tag.read_on is not None:
                self._check_trigger(self._names[position], tag.read_on)
                if tag.enabled:
                    on = tag.read_on
                    found.setdefault((on.tag, on.edge, on.group, on.settle), []).append(position)
        for (bit, edge, _, settle), positions in found.items():
            points = self._points(positions)
            yield Trigger(self._at[bit], edge != "falling", edge != "rising", settle, points)

    def _check_trigger(self, name: str, on: ReadOn) -> None:
        watched = self._tags.get(on.tag)
        if watched is None:
            raise ValueError(f"tag {name!r}: read_on: there is no tag {on.tag!r}; name a bit of this device")
        if watched.data_type != "bool" or watched.count:
            raise ValueError(f"tag {name!r}: read_on: {on.tag!r} is no bit; name a coil, a discrete input or a bit")
        if not watched.enabled or watched.read_on is not None or watched.interval == "once":
            raise ValueError(f"tag {name!r}: read_on: {on.tag!r} is not polled; give it an interval and let it be read")
        if self._at[on.tag] in self._unread:
            raise ValueError(f"tag {name!r}: read_on: {on.tag!r} lies in never_read")

    # --- what can be read ---------------------------------------------------------------------------------------------

    def _check(self, points: Iterable[ModbusPoint]) -> None:
        limits = self._limits
        for point in points:
            if not limits.never and point.end - limits.start(point.area, point.offset) <= limits.of(point.area):
                continue  # as of nearly all
            if point.position not in self._unread and (reason := unreadable([point], self._limits)):
                name = self._names[point.position]
                raise ValueError(f"tag {name!r} cannot be read, a value is never split: it takes {reason}")

    def _check_groups(self, groups: Sequence[Sequence[ModbusPoint]]) -> None:
        """What belongs together is read together, and fits."""
        home: dict[str, int] = {}
        for number, points in enumerate(groups):
            together: dict[str, list[ModbusPoint]] = {}
            for point in points:
                if point.group is not None:
                    together.setdefault(point.group, []).append(point)
            for group, members in together.items():
                names = ", ".join(self._names[point.position] for point in members)
                if home.setdefault(group, number) != number:
                    raise ValueError(
                        f"together {group!r}: its tags are read at different times; give them one interval"
                    )
                if len({point.area for point in members}) > 1:
                    raise ValueError(f"together {group!r}: {names} lie in different areas; no response holds both")
                if any(point.position in self._unread for point in members):
                    raise ValueError(f"together {group!r}: one of {names} lies in never_read")
                if reason := unreadable(members, self._limits):
                    raise ValueError(f"together {group!r}: {names} do not fit into one response: {reason}")
