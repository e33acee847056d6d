"""Which blocks a set of tags is read with. Pure and deterministic.

Greedy from the lowest offset: a block grows while the next value lies within `max_gap` of its end and the whole stays
within the limit. Since every value must lie in one response, that gives the fewest blocks for these limits. A value is
never split, a disabled tag is in no block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.collectors.modbus.address import FUNCTIONS, Area
from agent.collectors.modbus.points import Point


class Limits(NamedTuple):
    """What a device takes in one request."""

    max_registers: int = 125
    max_bits: int = 2000
    max_gap: int = 0  #: offsets nobody asked for that a block may bridge

    def of(self, area: Area) -> int:
        """Registers or bits per request of this area."""
        return self.max_bits if area in ("coil", "discrete") else self.max_registers


@dataclass(frozen=True, slots=True)
class Block:
    """One request: area, first address, count; and the values in it, by offset."""

    area: Area
    offset: int
    count: int
    points: tuple[Point, ...]

    @property
    def function(self) -> int:
        """The function code that reads it."""
        return FUNCTIONS[self.area]

    def __str__(self) -> str:
        return f"{self.area}:{self.offset}+{self.count}"


def plan(points: Iterable[Point], limits: Limits) -> list[Block]:
    """Blocks that cover every point exactly once, in the order they are asked for (area by function code, offset)."""
    blocks: list[Block] = []
    run: list[Point] = []
    end = 0
    for point in sorted(points, key=lambda point: (FUNCTIONS[point.area], point.offset, point.end, point.position)):
        fits = (
            run
            and point.area == run[0].area
            and point.offset - end <= limits.max_gap
            and max(end, point.end) - run[0].offset <= limits.of(point.area)
        )
        if not fits and run:
            blocks.append(block_of(run))
            run = []
        end = max(end, point.end) if run else point.end
        run.append(point)
    if run:
        blocks.append(block_of(run))
    return blocks


def block_of(points: Iterable[Point]) -> Block:
    """The smallest block around these points (of one area, not none)."""
    held = tuple(points)
    first = min(point.offset for point in held)
    return Block(held[0].area, first, max(point.end for point in held) - first, held)


def halves(block: Block) -> tuple[Block, Block] | None:
    """The block cut at the tag boundary nearest to its middle; None where it holds a single tag."""
    if len(block.points) < 2:
        return None
    middle = len(block.points) // 2
    return block_of(block.points[:middle]), block_of(block.points[middle:])


def cut(block: Block, before: Collection[int]) -> list[Block]:
    """The block cut before each of these tags (positions in the tag table)."""
    runs: list[list[Point]] = [[]]
    for point in block.points:
        if point.position in before and runs[-1]:
            runs.append([])
        runs[-1].append(point)
    return [block_of(run) for run in runs]
