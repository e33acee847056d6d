from __future__ import annotations

import struct
from array import array
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.collectors.modbus.blocks.codec import compile_block
from agent.collectors.modbus.blocks.plan import AddressRange, Block, BlockLimits, block_of, cheapest, cost, halves, plan
from agent.collectors.modbus.blocks.values import UNCERTAIN_DATA_SUB_NORMAL
from agent.collectors.modbus.tags.address import Area
from agent.collectors.modbus.tags.points import REGISTERS, ByteOrder, DataType, ModbusPoint
from tests.support.points import point_at

AREAS: tuple[Area, ...] = get_args(Area)
TYPES: tuple[DataType, ...] = (
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string",
)  # fmt: skip
ORDERS: tuple[ByteOrder, ...] = get_args(ByteOrder)
BITS = ("coil", "discrete")
FORMS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
    "float64": "d",
}  # fmt: skip


@st.composite
def points(draw: st.DrawFn, *, span: int = 60) -> list[ModbusPoint]:
    """A layout of tags: any area, type, order; with holes and overlaps."""
    found = []
    for position in range(draw(st.integers(0, 40))):
        area = draw(st.sampled_from(AREAS))
        offset = draw(st.integers(0, span))
        if area in BITS:
            found.append(point_at(position, area, offset, 1, "bool"))
            continue
        kind = draw(st.sampled_from(TYPES))
        order = draw(st.sampled_from(ORDERS))
        bit = draw(st.integers(0, 15)) if kind == "bool" else None
        length = draw(st.integers(1, 8)) if kind == "string" else 0
        size = (length + 1) // 2 if kind == "string" else REGISTERS.get(kind, 1)
        found.append(point_at(position, area, offset, size, kind, bit, order, length))
    return found


limits = st.tuples(st.integers(4, 125), st.integers(1, 2000), st.integers(0, 10)).map(lambda three: BlockLimits(*three))


@given(points(), limits)
def test_every_tag_is_in_exactly_one_block(layout: list[ModbusPoint], limit: BlockLimits) -> None:
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
def test_the_plan_does_not_depend_on_the_order_of_tags(layout: list[ModbusPoint], limit: BlockLimits, random) -> None:
    """The same tags in another order give the same blocks."""
    shuffled = list(layout)
    random.shuffle(shuffled)
    assert plan(shuffled, limit) == plan(layout, limit)


def model(point: ModbusPoint, registers: list[int], bits: list[bool]) -> object:
    """The value as the definition of the byte orders says it, one tag at a time."""
    if point.area in BITS:
        return bits[point.offset]
    words = registers[point.offset : point.end]
    pairs = [(word >> 8, word & 255) for word in words]
    if point.form.order in ("BADC", "DCBA"):
        pairs = [(low, high) for high, low in pairs]
    if point.form.order in ("CDAB", "DCBA") and point.form.type != "string":
        pairs.reverse()
    data = bytes(byte for pair in pairs for byte in pair)
    if point.form.type == "bool":
        assert point.form.bit is not None
        return bool(int.from_bytes(data, "big") >> point.form.bit & 1)
    if point.form.type == "string":
        text = data[: point.form.length].split(b"\0")[0].rstrip(b"\xff ")
        return text.decode(errors="replace").strip(" ")
    (value,) = struct.unpack(">" + FORMS[point.form.type], data)
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
def test_planned_blocks_decode_to_what_single_reads_say(layout: list[ModbusPoint], limit: BlockLimits, random) -> None:
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
def test_halves_keep_tags_whole(layout: list[ModbusPoint], limit: BlockLimits) -> None:
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


# --- what a device wants besides --------------------------------------------------------------------------------------


@st.composite
def wishes(draw: st.DrawFn) -> tuple[list[ModbusPoint], BlockLimits]:
    """A layout with groups, lonely tags and scale factors, and limits of every kind that let each of them be read."""
    limit = BlockLimits(
        draw(st.integers(8, 125)),
        draw(st.integers(80, 2000)),
        draw(st.integers(0, 10)),
        draw(st.sampled_from([1, 1, 2, 4])),
        draw(st.sampled_from([1, 8])),
        draw(st.booleans()),
        avoid=tuple(draw(st.lists(spans(), max_size=3))),
        cuts=frozenset(draw(st.sets(st.integers(0, 39), max_size=5))),
    )
    never = draw(st.lists(spans(), max_size=3))
    layout = []
    for point in draw(points()):
        # What cannot be read alone is refused when the configuration is loaded, or lies in never_read.
        block = block_of([point], limit)
        if block.count > limit.of(block.area):
            continue
        never = [span for span in never if not touches(span, block)]
        kind = draw(st.sampled_from(["plain", "plain", "plain", "alone", "factor"]))
        if kind == "alone":
            layout.append(replace(point, form=replace(point.form, alone=True)))
        elif kind == "factor" and layout:
            layout.append(replace(point, factor=draw(st.sampled_from(layout)).position))
        else:
            layout.append(point)
    limit = limit._replace(never=tuple(never))
    for name in draw(st.sets(st.sampled_from("xy"))):
        area = draw(st.sampled_from(AREAS))
        free = [point for point in layout if point.area == area and not point.form.alone and point.group is None]
        members = [point.position for point in free if draw(st.booleans())]
        if not members:
            continue
        block = block_of([point for point in free if point.position in members], limit)
        if block.count <= limit.of(area) and not any(touches(span, block) for span in never):
            layout = [replace(point, group=name) if point.position in members else point for point in layout]
    return layout, limit


def spans() -> st.SearchStrategy[AddressRange]:
    return st.builds(
        lambda area, first, size: AddressRange(area, first, first + size),
        st.sampled_from(AREAS), st.integers(0, 70), st.integers(1, 6),
    )  # fmt: skip


def touches(span: AddressRange, block: Block) -> bool:
    return span.area == block.area and span.first < block.offset + block.count and block.offset < span.end


@given(wishes())
def test_whatever_is_wished_every_tag_is_read_once(case: tuple[list[ModbusPoint], BlockLimits]) -> None:
    """Each tag is in exactly one block, whole; no limit is broken, no alignment missed, nothing forbidden covered."""
    layout, limit = case
    blocks = plan(layout, limit)
    assert sorted(p.position for block in blocks for p in block.points) == sorted(p.position for p in layout)
    for block in blocks:
        assert 1 <= block.count <= limit.of(block.area)
        assert block.offset == limit.start(block.area, block.offset)
        assert not any(touches(span, block) for span in limit.never)
        for point in block.points:
            assert point.area == block.area
            assert block.offset <= point.offset
            assert point.end <= block.offset + block.count


@given(wishes())
def test_what_belongs_together_is_read_together(case: tuple[list[ModbusPoint], BlockLimits]) -> None:
    """The tags of a group are in one block; a lonely tag is in none with others."""
    layout, limit = case
    homes: dict[str, set[int]] = {}
    for number, block in enumerate(plan(layout, limit)):
        for point in block.points:
            if point.group is not None:
                homes.setdefault(point.group, set()).add(number)
            assert not point.form.alone or len(block.points) == 1
    assert all(len(home) == 1 for home in homes.values())


@given(wishes())
def test_what_is_avoided_is_not_bridged(case: tuple[list[ModbusPoint], BlockLimits]) -> None:
    """Between two of its tags a block covers nothing that is avoided, and no lonely tag, but for a group's sake."""
    layout, limit = case
    fences = [*limit.avoid, *(AddressRange(p.area, p.offset, p.end) for p in layout if p.form.alone)]
    for block in plan(layout, limit):
        covered = block.points[0].offset
        for point in block.points:
            gap = Block(block.area, covered, point.offset - covered, ())
            grouped = any(p.group is not None for p in block.points)
            assert grouped or gap.count <= 0 or not any(touches(span, gap) for span in fences)
            covered = max(covered, point.end)


def greedy(layout: list[ModbusPoint], limit: BlockLimits) -> list[list[ModbusPoint]]:
    """Each block grows as long as it may: what the planner must not be worse than."""
    runs: list[list[ModbusPoint]] = []
    for point in sorted(layout, key=lambda p: (p.area, p.offset, p.end, p.position)):
        run = runs[-1] if runs else []
        end = max((p.end for p in run), default=0)
        fits = run and run[0].area == point.area and point.offset - end <= limit.max_gap
        if fits and block_of([*run, point], limit).count <= limit.of(point.area):
            run.append(point)
        else:
            runs.append([point])
    return runs


@given(points(), limits)
def test_the_plan_costs_no_more_than_the_greedy_one(layout: list[ModbusPoint], limit: BlockLimits) -> None:
    """Never more requests, and with as many requests never more registers."""
    assert cost(plan(layout, limit)) <= cost(block_of(run, limit) for run in greedy(layout, limit))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), max_size=9), st.integers(4, 16), st.integers(0, 4))
def test_the_plan_is_the_best_there_is(sizes: list[tuple[int, int]], largest: int, gap: int) -> None:
    """Of all ways to cut neighbours into blocks none is cheaper than the one chosen."""
    layout, at = [], 0
    for position, (hole, size) in enumerate(sizes):
        layout.append(point_at(position, "holding", at + hole, size, "uint16"))
        at += hole + size
    limit = BlockLimits(largest, 100, gap)

    def best(first: int) -> int:
        if first == len(layout):
            return 0
        found = []
        for last in range(first + 1, len(layout) + 1):
            if last > first + 1 and layout[last - 1].offset - layout[last - 2].end > gap:
                break
            block = block_of(layout[first:last])
            if block.count > largest:
                break
            found.append(cost([block]) + best(last))
        return min(found)

    assert cost(plan(layout, limit)) == best(0)


def test_fewer_registers_for_as_many_requests() -> None:
    """Where the greedy hand would fill its first block with a hole, the hole is left out."""
    layout = [point_at(i, "holding", offset, 1, "uint16") for i, offset in enumerate((0, 9, 11, 12))]
    assert [str(block) for block in plan(layout, BlockLimits(10, 100, 10))] == ["holding:0+1", "holding:9+4"]
    assert cheapest([], [], [], [], 5) == []


def test_a_large_plan_is_made_at_once() -> None:
    """Tens of thousands of scattered coils are planned in linear time."""
    layout = [point_at(i, "coil", i * 3 // 2, 1, "bool") for i in range(20_000)]
    blocks = plan(layout, BlockLimits(max_gap=1))
    assert len(blocks) == 15
    assert sum(len(block.points) for block in blocks) == len(layout)


def test_a_value_and_its_scale_factor_share_a_response() -> None:
    """They are read in one block across a hole, as long as they fit and nothing there is to be avoided."""
    layout = [point_at(0, "holding", 0, 1, "int16", factor=1), point_at(1, "holding", 9, 1, "int16")]
    assert [str(block) for block in plan(layout, BlockLimits())] == ["holding:0+10"]
    for limit in (
        BlockLimits(9),
        BlockLimits(never=(AddressRange("holding", 4, 5),)),
        BlockLimits(cuts=frozenset({1})),
    ):
        assert [str(block) for block in plan(layout, limit)] == ["holding:0+1", "holding:9+1"]


def test_join_reads_a_group_at_once_where_it_fits() -> None:
    """A triggered group is one block across its holes, or as few as it takes."""
    layout = [point_at(i, "holding", offset, 1, "uint16") for i, offset in enumerate((0, 50, 120, 200))]
    assert [str(block) for block in plan(layout, BlockLimits(), join=True)] == ["holding:0+121", "holding:200+1"]


def test_coils_from_zero() -> None:
    """Every request of coils begins at coil 0; discrete inputs are left alone."""
    layout = [
        point_at(0, "coil", 20, 1, "bool"),
        point_at(1, "coil", 90, 1, "bool"),
        point_at(2, "discrete", 20, 1, "bool"),
    ]
    limit = BlockLimits(coils_from_zero=True, max_gap=100)
    assert [str(block) for block in plan(layout, limit)] == ["coil:0+91", "discrete:20+1"]


def test_neighbours_share_a_request() -> None:
    """Adjacent tags are one block, a hole makes two, unless max_gap bridges it."""
    layout = [
        point_at(0, "holding", 0, 2, "uint32"),
        point_at(1, "holding", 2, 1, "int16"),
        point_at(2, "holding", 5, 1, "int16"),
    ]
    assert [str(block) for block in plan(layout, BlockLimits())] == ["holding:0+3", "holding:5+1"]
    assert [str(block) for block in plan(layout, BlockLimits(max_gap=2))] == ["holding:0+6"]
    assert [str(block) for block in plan(layout, BlockLimits(max_gap=2, max_registers=2))] == [
        "holding:0+2", "holding:2+1", "holding:5+1",
    ]  # fmt: skip


def test_a_block_is_as_small_as_its_points() -> None:
    """Whatever order its points come in, a block begins at the first and ends with the last."""
    block = block_of([point_at(0, "input", 7, 4, "int64"), point_at(1, "input", 5, 1, "int16")])
    assert (block.function, block.offset, block.count) == (4, 5, 6)
