from __future__ import annotations

import struct
from array import array
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.modbus.address import Area
from agent.collectors.modbus.codec import UNCERTAIN_DATA_SUB_NORMAL, compile_block
from agent.collectors.modbus.plan import Block, Limits, block_of, cut, halves, plan
from agent.collectors.modbus.points import REGISTERS, ByteOrder, DataType, Point

AREAS: tuple[Area, ...] = get_args(Area)
TYPES: tuple[DataType, ...] = get_args(DataType)
ORDERS: tuple[ByteOrder, ...] = get_args(ByteOrder)
BITS = ("coil", "discrete")
FORMS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
    "float64": "d",
}  # fmt: skip


@st.composite
def points(draw: st.DrawFn, *, span: int = 60) -> list[Point]:
    """A layout of tags: any area, type, order; with holes and overlaps."""
    found = []
    for position in range(draw(st.integers(0, 40))):
        area = draw(st.sampled_from(AREAS))
        offset = draw(st.integers(0, span))
        if area in BITS:
            found.append(Point(position, area, offset, 1, "bool"))
            continue
        kind = draw(st.sampled_from(TYPES))
        order = draw(st.sampled_from(ORDERS))
        bit = draw(st.integers(0, 15)) if kind == "bool" else None
        length = draw(st.integers(1, 8)) if kind == "string" else 0
        size = (length + 1) // 2 if kind == "string" else REGISTERS.get(kind, 1)
        found.append(Point(position, area, offset, size, kind, bit, order, length))
    return found


limits = st.builds(Limits, st.integers(4, 125), st.integers(1, 2000), st.integers(0, 10))


@given(points(), limits)
def test_every_tag_is_in_exactly_one_block(layout: list[Point], limit: Limits) -> None:
    """A plan covers each point once, whole, within the limits, and bridges no more than max_gap."""
    blocks = plan(layout, limit)
    assert sorted(point.position for block in blocks for point in block.points) == list(range(len(layout)))
    for block in blocks:
        assert 1 <= block.count <= limit.of(block.area)
        covered = block.offset
        for point in block.points:
            assert point.area == block.area
            assert block.offset <= point.offset
            assert point.end <= block.offset + block.count
            assert point.offset - covered <= limit.max_gap
            covered = max(covered, point.end)
        assert covered == block.offset + block.count


@given(points(), limits, st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_tags(layout: list[Point], limit: Limits, random) -> None:
    """The same tags in another order give the same blocks."""
    shuffled = list(layout)
    random.shuffle(shuffled)
    assert plan(shuffled, limit) == plan(layout, limit)


def model(point: Point, registers: list[int], bits: list[bool]) -> object:
    """The value as the definition of the byte orders says it, one tag at a time."""
    if point.area in BITS:
        return bits[point.offset]
    words = registers[point.offset : point.end]
    pairs = [(word >> 8, word & 255) for word in words]
    if point.order in ("BADC", "DCBA"):
        pairs = [(low, high) for high, low in pairs]
    if point.order in ("CDAB", "DCBA") and point.type != "string":
        pairs.reverse()
    data = bytes(byte for pair in pairs for byte in pair)
    if point.type == "bool":
        assert point.bit is not None
        return bool(int.from_bytes(data, "big") >> point.bit & 1)
    if point.type == "string":
        return data[: point.length].split(b"\0")[0].decode(errors="replace")
    (value,) = struct.unpack(">" + FORMS[point.type], data)
    return value


def same(left: object, right: object) -> bool:
    return repr(left) == repr(right)  # NaN equals itself here


def payload(block: Block, registers: list[int], bits: list[bool]) -> bytes:
    if block.area in BITS:
        window = bits[block.offset : block.offset + block.count]
        packed = sum(bit << i for i, bit in enumerate(window))
        return packed.to_bytes((block.count + 7) // 8, "little")
    words = array("H", registers[block.offset : block.offset + block.count])
    words.byteswap()
    return words.tobytes()


@given(points(), limits, st.randoms(use_true_random=False))
def test_planned_blocks_decode_to_what_single_reads_say(layout: list[Point], limit: Limits, random) -> None:
    """Whatever is merged with whatever, each tag gets the value of its own registers in its own order."""
    registers = [random.getrandbits(16) for _ in range(80)]
    bits = [bool(random.getrandbits(1)) for _ in range(80)]
    for block in plan(layout, limit):
        column = compile_block(block)(payload(block, registers, bits))
        assert len(column.values) == len(block.points)
        for index, (point, value) in enumerate(zip(block.points, column.values, strict=True)):
            assert same(value, model(point, registers, bits))
            doubtful = isinstance(value, str) and "\ufffd" in value
            status = column.status if isinstance(column.status, int) else column.status[index]
            assert status == (UNCERTAIN_DATA_SUB_NORMAL if doubtful else 0)


@given(points(), limits)
def test_halves_keep_tags_whole(layout: list[Point], limit: Limits) -> None:
    """Cutting a block in half down to single tags loses none and splits none."""
    todo, single = plan(layout, limit), 0
    while todo:
        block = todo.pop()
        parts = halves(block)
        if parts is None:
            assert len(block.points) == 1
            single += 1
        else:
            assert parts[0].points + parts[1].points == block.points
            todo.extend(parts)
    assert single == len(layout)


@given(points(), limits, st.sets(st.integers(0, 39)))
def test_cuts_lose_nothing(layout: list[Point], limit: Limits, before: set[int]) -> None:
    """A block cut before some of its tags still holds each of them once, and each of those begins a part."""
    for block in plan(layout, limit):
        parts = cut(block, before)
        assert tuple(point for part in parts for point in part.points) == block.points
        assert all(point.position not in before for part in parts for point in part.points[1:])
        assert cut(block, set()) == [block]


def test_neighbours_share_a_request() -> None:
    """Adjacent tags are one block, a hole makes two, unless max_gap bridges it."""
    layout = [
        Point(0, "holding", 0, 2, "uint32"),
        Point(1, "holding", 2, 1, "int16"),
        Point(2, "holding", 5, 1, "int16"),
    ]
    assert [str(block) for block in plan(layout, Limits())] == ["holding:0+3", "holding:5+1"]
    assert [str(block) for block in plan(layout, Limits(max_gap=2))] == ["holding:0+6"]
    assert [str(block) for block in plan(layout, Limits(max_gap=2, max_registers=2))] == [
        "holding:0+2", "holding:2+1", "holding:5+1",
    ]  # fmt: skip


def test_a_block_is_as_small_as_its_points() -> None:
    """Whatever order its points come in, a block begins at the first and ends with the last."""
    block = block_of([Point(0, "input", 7, 4, "int64"), Point(1, "input", 5, 1, "int16")])
    assert (block.function, block.offset, block.count) == (4, 5, 6)
