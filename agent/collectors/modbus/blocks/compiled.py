"""A block ready to be asked: its request, the tags it answers for, its decoder, and what else hangs on its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.collectors.modbus.blocks.codec import DecodedColumn, Decoder, compile_block, doubted
from agent.collectors.modbus.blocks.plan import Block
from agent.collectors.modbus.blocks.values import Doubt, scaled
from agent.collectors.modbus.bus.transaction import ReadRequest
from agent.core.quality import BAD_NO_DATA


class Roles(NamedTuple):
    """What some points are besides tags, by position."""

    tags: int = 1 << 30  #: positions below this are tags, those above are read for the sake of others
    factors: frozenset[int] = frozenset()  #: scale factors of others
    bits: frozenset[int] = frozenset()  #: bits whose edges cause reads


@dataclass(frozen=True, slots=True)
class Compiled:
    """`tags` is the same tuple on every scan."""

    block: Block
    request: ReadRequest
    tags: tuple[int, ...]
    decode: Decoder
    links: Links | None = None  #: None for nearly all: the values are what they are
    bits: tuple[tuple[int, int], ...] = ()  #: index in the block and position of each bit that is watched

    @classmethod
    def of(cls, block: Block, timeout: float, roles: Roles = Roles()) -> Compiled:  # noqa: B008 - immutable
        """Compile a block."""
        tags = tuple(point.position for point in block.points if point.position < roles.tags)
        return cls(
            block,
            ReadRequest(block.function, block.offset, block.count, timeout),
            tags,
            compile_block(block),
            Links.of(block, roles),
            tuple((i, point.position) for i, point in enumerate(block.points) if point.position in roles.bits),
        )


@dataclass(frozen=True, slots=True)
class Links:
    """Values of a block that others need, or that need others."""

    gives: tuple[tuple[int, int], ...]  #: index in the block, position
    needs: tuple[tuple[int, int], ...]  #: index in the block, position of its scale factor
    shown: tuple[int, ...]  #: indexes of the tags among the points

    @classmethod
    def of(cls, block: Block, roles: Roles) -> Links | None:
        """None where the block has none."""
        points = list(enumerate(block.points))
        gives = tuple((i, point.position) for i, point in points if point.position in roles.factors)
        needs = tuple((i, point.factor) for i, point in points if point.factor is not None)
        shown = tuple(i for i, point in points if point.position < roles.tags)
        return cls(gives, needs, shown) if gives or needs else None


class Factors:
    """The scale factors of one scan, and the columns that wait for theirs."""

    def __init__(self, unread: Mapping[int, Doubt]) -> None:
        self._known: dict[int, object] = dict(unread)
        self._waiting: list[tuple[Compiled, DecodedColumn, int]] = []

    def read(self, compiled: Compiled, column: DecodedColumn, ts: int) -> list[tuple[Compiled, DecodedColumn, int]]:
        """A block was read: every column that is complete now, this one and those that waited for it."""
        assert compiled.links is not None  # noqa: S101 - the caller has looked
        for i, position in compiled.links.gives:
            status = column.status if isinstance(column.status, int) else column.status[i]
            reason = "" if column.reason is None else column.reason.get(i, "")
            self._known[position] = Doubt(None, status, reason) if status else column.values[i]
        self._waiting.append((compiled, column, ts))
        return self._complete()

    def failed(self, compiled: Compiled, doubt: Doubt) -> list[tuple[Compiled, DecodedColumn, int]]:
        """A block could not be read: what needed it is bad."""
        assert compiled.links is not None  # noqa: S101 - the caller has looked
        self._known.update((position, doubt) for _, position in compiled.links.gives)
        return self._complete()

    def rest(self, unread: Mapping[int, Doubt]) -> list[tuple[Compiled, DecodedColumn, int]]:
        """The scan is over: what still waits is bad. `unread`: why, where that is known."""
        missing = Doubt(None, BAD_NO_DATA, "not read in this scan")
        for compiled, _, _ in self._waiting:
            assert compiled.links is not None  # noqa: S101 - only such wait
            for _, position in compiled.links.needs:
                self._known.setdefault(position, unread.get(position, missing))
        return self._complete()

    def _complete(self) -> list[tuple[Compiled, DecodedColumn, int]]:
        done = [entry for entry in self._waiting if self._ready(entry[0])]
        self._waiting = [entry for entry in self._waiting if not self._ready(entry[0])]
        return [(compiled, self._applied(compiled, column), ts) for compiled, column, ts in done]

    def _ready(self, compiled: Compiled) -> bool:
        return compiled.links is not None and all(position in self._known for _, position in compiled.links.needs)

    def _applied(self, compiled: Compiled, column: DecodedColumn) -> DecodedColumn:
        links = compiled.links
        assert links is not None  # noqa: S101 - only such wait
        values = list(column.values)
        doubts = _doubts(column)
        for i, position in links.needs:
            if i in doubts:
                continue
            exponent = self._known[position]
            if type(exponent) is Doubt:
                value: object = Doubt(None, exponent.status, f"no scale factor: {exponent.reason}")
            else:
                value = scaled(values[i], exponent)
            if type(value) is Doubt:
                doubts[i] = value
                value = None
            values[i] = value
        shown = {i: place for place, i in enumerate(links.shown)}
        kept = {shown[i]: doubt for i, doubt in doubts.items() if i in shown}
        return (
            doubted([values[i] for i in links.shown], kept) if kept else DecodedColumn([values[i] for i in links.shown])
        )


def _doubts(column: DecodedColumn) -> dict[int, Doubt]:
    if isinstance(column.status, int):
        return {}
    reasons = column.reason or {}
    pairs: Iterable[tuple[int, int]] = enumerate(column.status)
    return {i: Doubt(column.values[i], status, reasons.get(i, "")) for i, status in pairs if status}
