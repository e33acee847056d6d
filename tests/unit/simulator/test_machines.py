from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.machines import Cnc, Machine, Meter, Press
from agent.simulator.points import CNC_NODES, METER_POINTS, PRESS_POINTS, Memory, Point

seeds = st.integers(0, 2**32)
instants = st.floats(0, 10 * 86400, allow_nan=False)

COUNTERS = {
    Press: ("part_count", "total_strokes"),
    Meter: ("energy_import", "energy_reactive"),
    Cnc: ("PartCount", "CuttingSeconds"),
}


@pytest.mark.parametrize("kind", [Press, Meter, Cnc])
@given(seed=seeds, t=instants)
def test_state_follows_from_seed_and_time_alone(kind, seed, t):
    """Two machines of one seed agree at every instant, whatever they were asked before."""
    first, second = kind(seed), kind(seed)
    first.state(t / 2)
    assert first.state(t) == second.state(t)


@pytest.mark.parametrize("kind", [Press, Meter, Cnc])
@given(seed=seeds, one=instants, other=instants)
def test_counters_only_grow(kind, seed, one, other):
    """A later instant never shows a smaller counter."""
    machine: Machine = kind(seed)
    before, after = machine.state(min(one, other)), machine.state(max(one, other))
    for name in COUNTERS[kind]:
        assert before[name] <= after[name]


@given(seed=seeds, t=instants)
def test_values_stay_plausible(seed, t):
    """No press hotter than its oil, no meter without current, no tool colder than the hall."""
    press, meter, cnc = Press(seed).state(t), Meter(seed).state(t), Cnc(seed).state(t)
    assert 35 < press["oil_temperature"] < 55
    assert 0 <= press["stroke_position"] <= Press.TRAVEL_MM
    assert 0 <= press["tonnage"] <= Press.RATED_KN * 1.1
    assert 225 < meter["voltage_l1"] < 235
    assert all(meter[f"current_l{line}"] > 0 for line in (1, 2, 3))
    assert 0.85 < meter["power_factor"] <= 1
    assert 20 < cnc["Tool.Temperature"] < 75
    assert cnc["Alarm.Active"] == (cnc["Mode"] == "ALARM") == bool(cnc["Alarm.Text"])


def test_different_seeds_are_different_machines():
    """Two presses side by side do not show the same numbers."""
    assert Press(1).state(100.0) != Press(2).state(100.0)


def test_press_makes_a_part_per_stroke_and_rests_while_tools_are_changed():
    """Over a whole plan exactly STROKES parts are made, and none during the change."""
    press, plan = Press(5), Press.CYCLE * Press.STROKES
    start = press.state(0.0)["part_count"]
    assert press.state(plan + 1)["running"] is False
    assert press.state(plan + 1)["part_count"] == start + Press.STROKES
    assert press.state(plan + Press.CHANGE - 0.01)["part_count"] == start + Press.STROKES


def test_meter_energy_is_the_integral_of_its_power():
    """An hour of power, summed second by second, is what the counter gained."""
    meter = Meter(9)
    summed = sum(meter.state(t + 0.5)["power"] for t in range(3600)) / 3600
    gained = meter.state(3600.0)["energy_import"] - meter.state(0.0)["energy_import"]
    assert gained == pytest.approx(summed, abs=2)


@pytest.mark.parametrize(("machine", "points"), [(Press(1), PRESS_POINTS), (Meter(1), METER_POINTS)])
def test_every_point_is_a_value_of_its_machine(machine, points):
    """A map names every value once, and no two points share cells but for bits."""
    assert sorted(point.name for point in points) == sorted(machine.state(1.0))
    taken = [
        (point.area, point.address + offset, point.bit)
        for point in points
        for offset in range(1 if point.type == "bool" else len(point.registers(machine.state(1.0)[point.name])))
    ]
    assert len(set(taken)) == len(taken)


def test_every_node_is_a_value_of_the_cnc():
    """The node list and the machine know the same names."""
    assert sorted(node.name for node in CNC_NODES) == sorted(Cnc(1).state(1.0))


@pytest.mark.parametrize(
    ("order", "words"),
    [("ABCD", [0x0102, 0x0304]), ("CDAB", [0x0304, 0x0102]), ("BADC", [0x0201, 0x0403]), ("DCBA", [0x0403, 0x0201])],
)
def test_byte_orders_of_a_32_bit_value(order, words):
    """ABCD is big-endian, CDAB reverses registers, BADC the bytes within each, DCBA both."""
    assert Point("x", "holding", 0, "uint32", order=order).registers(0x01020304) == words


def test_64_bit_values_and_strings_in_registers():
    """64 bits reverse all four registers; strings only swap within a register."""
    assert Point("x", "holding", 0, "uint64", order="CDAB").registers(0x0001000200030004) == [4, 3, 2, 1]
    assert Point("x", "holding", 0, "string", length=3).registers("abc") == [0x6162, 0x6300]
    assert Point("x", "holding", 0, "string", length=4, order="DCBA").registers("abcd") == [0x6261, 0x6463]
    assert Point("x", "holding", 0, "float64").registers(1.5) == list(struct.unpack(">4H", struct.pack(">d", 1.5)))


def test_scaled_integers_are_rounded():
    """46.27 Cel at a scale of 0.1 is 463."""
    assert Point("x", "holding", 0, "int16", scale=0.1).registers(46.27) == [463]
    assert Point("x", "holding", 0, "int16").registers(-2) == [0xFFFE]


def test_memory_knows_only_what_was_written():
    """A read that touches a cell nobody wrote has no answer; bits keep their neighbours."""
    memory = Memory()
    memory.fill("holding", 5, [1, 2])
    memory.put(Point("a", "input", 3, "bool", bit=4), value=True)
    memory.put(Point("b", "input", 3, "bool", bit=0), value=True)
    memory.put(Point("a", "input", 3, "bool", bit=4), value=False)
    assert memory.read("holding", 5, 2) == [1, 2]
    assert memory.read("holding", 5, 3) is None
    assert memory.read("coil", 5, 1) is None
    assert memory.read("input", 3, 1) == [1]
