"""Which blocks a set of tags is read with. Pure and deterministic.

What must be read in one response is an item: a value, or the tags of one `together`. A value and its scale factor are
one, too, as long as they fit. Of all ways to cut the items of an area, in the order of their offsets, into blocks that
keep to the limits, the plan is the one with the fewest requests, and among those the one with the fewest registers:

    best(i) = min over j of best(j) + one request + (end of i - start of j)

over the j whose block up to i is allowed; they form a window that only moves forward, so the whole takes linear time.
Items that overlap stay in one block unless that grows too large; where it does, the plan of the greedy hand (a block
grows as long as it may) is taken if it is cheaper. A value is never split, a disabled tag is in no block.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.collectors.modbus.blocks.items import Item, items_of
from agent.collectors.modbus.tags.address import FUNCTIONS, Area
from agent.collectors.modbus.tags.points import ORDER_IN_BLOCK, ModbusPoint

_REQUEST = 1 << 20  #: registers that are cheaper than one request more


class AddressRange(NamedTuple):
    """Some offsets of an area."""

    area: Area
    first: int
    end: int  #: behind the last one

    def __str__(self) -> str:
        return f"{self.area}:{self.first}" + (f"-{self.end - 1}" if self.end > self.first + 1 else "")


class BlockLimits(NamedTuple):
    """What a device takes in one request."""

    max_registers: int = 125
    max_bits: int = 2000
    max_gap: int = 0  #: offsets nobody asked for that a block may bridge
    align_registers: int = 1  #: blocks of registers begin at a multiple of this
    align_bits: int = 1
    coils_from_zero: bool = False  #: blocks of coils begin at coil 0
    never: tuple[AddressRange, ...] = ()  #: no block covers any of these
    avoid: tuple[AddressRange, ...] = ()  #: no block bridges any of these
    cuts: frozenset[int] = frozenset()  #: positions of tags that blocks are cut before

    def of(self, area: Area) -> int:
        """Registers or bits per request of this area."""
        return self.max_bits if area in ("coil", "discrete") else self.max_registers

    def start(self, area: Area, offset: int) -> int:
        """Where a block has to begin that holds this offset first."""
        if area == "coil" and self.coils_from_zero:
            return 0
        return offset - offset % (self.align_bits if area in ("coil", "discrete") else self.align_registers)


_ANY = BlockLimits()


@dataclass(frozen=True, slots=True)
class Block:
    """One request: area, first address, count; and the values in it, by offset."""

    area: Area
    offset: int
    count: int
    points: tuple[ModbusPoint, ...]

    def __hash__(self) -> int:
        """Of where it lies: that of all points takes longer than to compare the few blocks of one place."""
        return hash((self.area, self.offset, self.count))

    @property
    def function(self) -> int:
        """The function code that reads it."""
        return FUNCTIONS[self.area]

    def __str__(self) -> str:
        return f"{self.area}:{self.offset}+{self.count}"


def plan(points: Iterable[ModbusPoint], limits: BlockLimits, *, join: bool = False) -> list[Block]:
    """Blocks that cover every point exactly once, in the order they are asked for (area by function code, offset).

    `join`: in one response where they fit, whatever lies between them (but not what is to be avoided).
    """
    areas: dict[Area, list[ModbusPoint]] = {area: [] for area in sorted(FUNCTIONS, key=FUNCTIONS.__getitem__)}
    for point in points:
        areas[point.area].append(point)
    return [block for area, held in areas.items() if held for block in _Area(area, limits, held).plan(held, join=join)]


def block_of(points: Iterable[ModbusPoint], limits: BlockLimits = _ANY) -> Block:
    """The smallest block around these points (of one area, not none)."""
    held = tuple(points)
    first = limits.start(held[0].area, min(point.offset for point in held))
    return Block(held[0].area, first, max(point.end for point in held) - first, held)


def halves(block: Block, limits: BlockLimits = _ANY) -> tuple[Block, Block] | None:
    """The block cut in the middle of its items; None where it holds a single one."""
    items = items_of(block.points)
    if len(items) < 2:
        return None
    left, right = items[: len(items) // 2], items[len(items) // 2 :]
    return block_of(_points(left), limits), block_of(_points(right), limits)


def cost(blocks: Iterable[Block]) -> int:
    """What a plan costs, in registers."""
    return sum(_REQUEST + block.count for block in blocks)


def unreadable(points: Sequence[ModbusPoint], limits: BlockLimits) -> str | None:
    """Why these can never be read in one response; None where they can. They are of one area."""
    block = block_of(points, limits)
    if block.count > limits.of(block.area):
        key = "max_bits" if block.area in ("coil", "discrete") else "max_registers"
        hint = f"raise {key} to {block.count}"
        if block.count > _ANY.of(block.area):
            hint = "no device takes more"
            if len(points) == 1 and points[0].form.items:
                each = f'"NAME_{{n}}": {{address: "{block.area}:{block.offset}..{block.offset + block.count - 1}"}}'
                hint += f": write {each}, without count, for a tag of each"
        return f"{block.count} from {block.area}:{block.offset}, {key} is {limits.of(block.area)}; {hint}"
    hit = next((span for span in limits.never if _meet(span, block)), None)
    return None if hit is None else f"{block} covers {hit}, which is never read"


def _meet(span: AddressRange, block: Block) -> bool:
    return span.area == block.area and span.first < block.offset + block.count and block.offset < span.end


def _points(items: Iterable[Item]) -> list[ModbusPoint]:
    return sorted((point for item in items for point in item.points), key=ORDER_IN_BLOCK)


@dataclass(slots=True)
class _Fence:
    """Offsets of one area that something must not cover."""

    firsts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, spans: Iterable[AddressRange]) -> _Fence:
        fence = cls()
        for span in sorted(spans):
            if fence.ends and span.first <= fence.ends[-1]:
                fence.ends[-1] = max(fence.ends[-1], span.end)
            else:
                fence.firsts.append(span.first)
                fence.ends.append(span.end)
        return fence

    def between(self, first: int, end: int) -> bool:
        """Whether one stands in these offsets."""
        if first >= end:
            return False
        place = bisect_right(self.ends, first)
        return place < len(self.firsts) and self.firsts[place] < end


class _Area:
    """The plan of one area."""

    def __init__(self, area: Area, limits: BlockLimits, points: Iterable[ModbusPoint]) -> None:
        self._area = area
        self._limits = limits
        self._largest = limits.of(area)
        never = [span for span in limits.never if span.area == area]
        avoid = [span for span in limits.avoid if span.area == area]
        avoid += [AddressRange(area, point.offset, point.end) for point in points if point.form.alone]
        self._never = _Fence.of(never)
        self._fence = _Fence.of(never + avoid)

    def plan(self, points: Iterable[ModbusPoint], *, join: bool) -> list[Block]:
        items = items_of(points, fits=self._fits, join=join)
        alone = [item for item in items if item.points[0].form.alone]
        merged = [item for item in items if not item.points[0].form.alone]
        best, greedy = self._best(merged), self._greedy(merged)
        plans = [greedy] if best is None or best == greedy else [best, greedy]
        blocks = min(([self._block(run) for run in runs] for runs in plans), key=cost)
        blocks += [self._block([item]) for item in alone]
        return sorted(blocks, key=lambda block: (block.offset, block.count, block.points[0].position))

    def _block(self, run: Iterable[Item]) -> Block:
        return block_of(_points(run), self._limits)

    def _fits(self, points: Sequence[ModbusPoint]) -> bool:
        """Whether points that would rather be read together may be."""
        ordered = sorted(points, key=ORDER_IN_BLOCK)
        covered = ordered[0].offset
        for point in ordered:
            if self._fence.between(covered, point.offset) or (point is not ordered[0] and self._cut(point)):
                return False
            covered = max(covered, point.end)
        return self._may_begin(ordered[0].offset) and covered - self._start(ordered[0].offset) <= self._largest

    def _cut(self, point: ModbusPoint) -> bool:
        return point.position in self._limits.cuts

    def _start(self, offset: int) -> int:
        return self._limits.start(self._area, offset)

    def _may_begin(self, offset: int) -> bool:
        return not self._never.firsts or not self._never.between(self._start(offset), offset)

    def _bridges(self, end: int, item: Item) -> bool:
        """Whether a block may go on from `end` to the next item."""
        start = item.start
        if start > end and (start - end > self._limits.max_gap or self._fence.between(end, start)):
            return False
        return not (self._limits.cuts and any(self._cut(point) for point in item.points))

    def _greedy(self, items: Sequence[Item]) -> list[list[Item]]:
        """A block grows as long as it may."""
        runs: list[list[Item]] = []
        first = end = 0
        for item in items:
            if runs and self._bridges(end, item) and max(end, item.end) - first <= self._largest:
                runs[-1].append(item)
                end = max(end, item.end)
            else:
                runs.append([item])
                first, end = self._start(item.start), item.end
        return runs

    def _best(self, items: Sequence[Item]) -> list[list[Item]] | None:
        """The recurrence above. None where items overlap so far that they fit no block."""
        clusters, ends = self._overlapping(items)
        starts = [self._start(cluster[0].start) for cluster in clusters]
        if any(end - start > self._largest for start, end in zip(starts, ends, strict=True)):
            return None
        linked = [i > 0 and self._bridges(ends[i - 1], cluster[0]) for i, cluster in enumerate(clusters)]
        begins = [not linked[i] or self._may_begin(cluster[0].start) for i, cluster in enumerate(clusters)]
        runs = cheapest(starts, ends, linked, begins, self._largest)
        return [[item for cluster in clusters[first:last] for item in cluster] for first, last in runs]

    def _overlapping(self, items: Sequence[Item]) -> tuple[list[list[Item]], list[int]]:
        """Neighbours that share offsets, put together; and where each of these ends."""
        clusters: list[list[Item]] = []
        ends: list[int] = []
        for item in items:
            if ends and item.start < ends[-1] and self._bridges(ends[-1], item):
                clusters[-1].append(item)
                ends[-1] = max(ends[-1], item.end)
            else:
                clusters.append([item])
                ends.append(item.end)
        return clusters, ends


def cheapest(
    starts: Sequence[int], ends: Sequence[int], linked: Sequence[bool], begins: Sequence[bool], largest: int
) -> list[tuple[int, int]]:
    """Ranges of indexes that together hold all, at the lowest cost: one request each, and its registers.

    `starts`: where a block has to begin that begins with this one; `linked`: may share a block with the one before;
    `begins`: may be the first of a block (what is not linked must be). Each alone is within `largest`.
    """
    best, before = [0], [0]  # of the first i: cost, and how many of them are in earlier blocks
    window: deque[tuple[int, int]] = deque()  # cost less start, index; lowest first
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if not linked[i]:
            window.clear()
        if begins[i]:
            key = best[i] - start
            while window and window[-1][0] > key:
                window.pop()
            window.append((key, i))
        while len(window) > 1 and end - starts[window[0][1]] > largest:
            window.popleft()
        if not window or end - starts[window[0][1]] > largest:
            window.clear()  # nothing may begin here but this must
            window.append((best[i] - start, i))
        key, first = window[0]
        best.append(key + end + _REQUEST)
        before.append(first)
    runs: list[tuple[int, int]] = []
    last = len(ends)
    while last:
        runs.append((before[last], last))
        last = before[last]
    return runs[::-1]
