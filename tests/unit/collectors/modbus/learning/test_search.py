from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.collectors.modbus.blocks.plan import Block, BlockLimits
from agent.collectors.modbus.blocks.reactions import Reaction, reaction_to
from agent.collectors.modbus.learning.knowledge import HOLD_OFF_SECONDS, Knowledge, as_yaml
from agent.collectors.modbus.tags.points import ModbusPoint
from agent.core.quality import BAD_TIMEOUT
from tests.support.points import point_at

ILLEGAL, TOO_MANY = reaction_to(2), reaction_to(3)
SILENT = Reaction(BAD_TIMEOUT, "no answer", "silent")


def registers(count: int, start: int = 0) -> list[ModbusPoint]:
    return [point_at(i, "holding", start + i, 1, "uint16") for i in range(count)]


class Device:
    """Refuses what touches a bad register, or is too large; scanned the way a collector does it."""

    def __init__(
        self, points: list[ModbusPoint], limits: BlockLimits | None = None, bad: set[int] | None = None, most: int = 125
    ):
        self.points = points
        self.bad = bad or set()
        self.most = most
        self.booting = False
        self.known = Knowledge(limits or BlockLimits(), points, {})
        self.asked = 0

    def answer(self, block: Block) -> Reaction | None:
        self.asked += 1
        if self.booting or self.bad.intersection(range(block.offset, block.offset + block.count)):
            return ILLEGAL
        return TOO_MANY if block.count > self.most else None

    def scan(self, now: float = 0.0, extras: int = 1000) -> set[int]:
        """One cycle; which tags were read in it."""
        read: set[int] = set()
        moved = False
        for block in self.known.blocks(self.points):
            reaction = self.answer(block)
            if reaction is None:
                read.update(point.position for point in block.points)
            else:
                moved |= self.known.refuse(block, reaction, now, good=bool(read))
        for _ in range(extras):
            if not self.known.search.todo:
                break
            moved = True
            block = self.known.search.todo.pop(0)
            reaction = self.answer(block)
            if reaction is None:
                read.update(point.position for point in block.points)
                self.known.search.was_read(block)
            else:
                self.known.refuse(block, reaction, now, good=bool(read))
        if moved:
            self.known.learn([], now, good=bool(read), moved=True)
        elif read:
            self.known.device_answers()
        return read


@given(st.sets(st.integers(0, 59)), st.integers(1, 60), st.integers(0, 3), st.integers(1, 9))
def test_exactly_the_bad_tags_are_found(bad: set[int], most: int, gap: int, extras: int) -> None:
    """Whatever is refused, and however slowly it may be searched, the good tags are read and the bad ones known."""
    device = Device(registers(60), BlockLimits(max_gap=gap), bad, most)
    good = set(range(60)) - bad
    for _ in range(400):
        blocks, before = len(device.known.blocks(device.points)), device.asked
        if device.scan(extras=extras) == good and device.asked == before + blocks:
            break
    assert not device.known.search
    assert set(device.known.quarantine.refused) == (bad if good else set())
    assert not good or device.scan() == good


def test_a_limit_is_learned_as_a_limit() -> None:
    """A device that takes fewer registers at a time is asked for as many as it takes, and that can be written down."""
    device = Device(registers(60), most=20)
    device.scan()
    assert [block.count for block in device.known.blocks(device.points)] == [15, 15, 15, 15]
    assert device.known.learned() == {"max_registers": 15}
    assert as_yaml(device.known.learned()) == "max_registers: 15"


def test_a_hole_is_learned_as_a_hole() -> None:
    """Where the gap between two tags is refused, it is what must never be read."""
    points = [point_at(0, "holding", 0, 1, "uint16"), point_at(1, "holding", 5, 1, "uint16")]
    device = Device(points, BlockLimits(max_gap=9), bad={3})
    device.scan()
    assert device.known.learned() == {"never_read": ["holding:1-4"]}
    assert len(device.known.blocks(points)) == 2


def test_bad_registers_are_named_once() -> None:
    """Neighbouring bad registers are one range; one that a good tag holds, too, is not named."""
    points = [*registers(6), point_at(6, "holding", 1, 2, "uint32")]
    device = Device(points, bad={2, 3})
    device.scan()
    assert set(device.known.quarantine.refused) == {2, 3, 6}
    assert as_yaml(device.known.learned()) == 'never_read: ["holding:2-3"]'


def test_a_booting_device_is_not_learned_from() -> None:
    """What refuses everything is left alone for a minute; then, all at once, everything is read."""
    device = Device(registers(8))
    device.booting = True
    device.scan()
    assert device.asked == 15
    assert not device.known.search
    device.scan(now=1.0)
    assert device.asked == 16
    device.booting = False
    assert device.scan(now=2.0) == set(range(8))
    assert not device.known.quarantine.refused
    device.booting = True
    device.scan(now=3.0)
    assert device.known.quarantine.refused == {}
    device.scan(now=4.0 + HOLD_OFF_SECONDS)
    assert device.asked > 17 + 15


def test_what_was_refused_before_the_first_answer_is_asked_again() -> None:
    """A device that comes up in the middle of a search loses no tag to it."""
    device = Device(registers(8))
    device.booting = True
    device.scan(extras=12)
    device.booting = False
    device.scan()
    assert device.scan() == set(range(8))
    assert not device.known.quarantine.refused


def test_together_is_good_or_bad_together() -> None:
    """A group is one item of the search: a bad register costs all of its tags, and no other."""
    points = [replace(p, group="g") if p.position in (2, 5) else p for p in registers(8)]
    device = Device(points, bad={5})
    device.scan()
    assert device.scan() == {0, 1, 3, 4, 6, 7}
    assert set(device.known.quarantine.refused) == {2, 5}
    (probe,) = device.known.probes(points, 1e6)
    assert [point.position for point in probe.points] == [2, 5]


def test_a_block_that_alone_keeps_silent_is_searched() -> None:
    """Not for one silence, nor with an answer in between; for three in a row, whatever else is asked meanwhile."""
    device = Device(registers(4))
    block, other = (Block("holding", 0, 4, tuple(device.points)), Block("holding", 0, 1, (device.points[0],)))
    for silent, asked in (([block], [block]), ([block], [block]), ([], [block]), ([block], [block]), ([], [other])):
        assert not device.known.fail([(one, SILENT) for one in silent], asked, 0.0, good=False)
    assert not device.known.fail([(block, SILENT)], [block, other], 0.0, good=False)
    assert device.known.fail([(block, SILENT)], [block, other], 0.0, good=False)
    assert len(device.known.search.todo) == 2
    assert device.known.bad(0) == SILENT


def test_a_value_that_fails_alone_is_asked_again() -> None:
    """A block of several values is searched when the device says three times that it fails; one value is not."""
    device = Device(registers(2))
    both, one = (Block("holding", 0, n, tuple(device.points[:n])) for n in (2, 1))
    for block, searched in ((one, False), (both, True)):
        found = [device.known.fail([(block, reaction_to(4))], [block], 0.0, good=True) for _ in range(3)]
        assert found == [False, False, searched]
