"""What must, or would rather, be read in one response. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from agent.collectors.modbus.tags.points import ORDER_IN_BLOCK, ModbusPoint


class Item(NamedTuple):
    """Points of one area that no block separates. Sorted by place, and by position where that is the same."""

    start: int
    end: int
    points: tuple[ModbusPoint, ...]  #: by offset


def items_of(
    points: Iterable[ModbusPoint], *, fits: Callable[[Sequence[ModbusPoint]], bool] | None = None, join: bool = False
) -> list[Item]:
    """The items by offset: always the points of one `group`; with `fits`, values with their scale factors where it
    says so; with `join`, all of them where it says so.
    """
    ordered = sorted(points, key=ORDER_IN_BLOCK)
    heap = {point.position: [point] for point in ordered}
    grouped: dict[str, ModbusPoint] = {}
    for point in ordered:
        if point.group is not None:
            _unite(heap, grouped.setdefault(point.group, point), point, None)
    if fits is not None:
        for one, other in _wishes(ordered, join=join):
            if not one.form.alone and not other.form.alone:
                _unite(heap, one, other, fits)
    return sorted(_item(held) for held in {id(held): held for held in heap.values()}.values())


def _wishes(points: Sequence[ModbusPoint], *, join: bool) -> Iterator[tuple[ModbusPoint, ModbusPoint]]:
    if join:
        yield from pairwise(points)
    sources = {point.position: point for point in points}
    for point in points:
        if point.factor is not None and (source := sources.get(point.factor)) is not None:
            yield source, point


def _unite(
    heap: dict[int, list[ModbusPoint]],
    one: ModbusPoint,
    other: ModbusPoint,
    fits: Callable[[Sequence[ModbusPoint]], bool] | None,
) -> None:
    left, right = heap[one.position], heap[other.position]
    if left is right or (fits is not None and not fits(left + right)):
        return
    left.extend(right)
    for point in right:
        heap[point.position] = left


def _item(points: Sequence[ModbusPoint]) -> Item:
    held = tuple(sorted(points, key=ORDER_IN_BLOCK))
    return Item(held[0].offset, held[0].end if len(held) == 1 else max(point.end for point in held), held)
