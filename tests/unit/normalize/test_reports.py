"""What is said again and what is not: report, deadband and max_silence by example."""

from __future__ import annotations

import math
from typing import Any

import pytest

from agent.core.quality import number_of
from tests.unit.normalize.bench import T0, Bench


def said(bench: Bench, *raws: Any) -> list[Any]:
    """Which of the values get said."""
    return [reading.value for raw in raws for reading in bench.read(raw)]


def test_every():
    """By default every reading is said, good or bad."""
    bench = Bench({})
    assert said(bench, 1, 1, math.nan, math.nan, 1) == [1, 1, None, None, 1]


@pytest.mark.parametrize("options", [{}, {"default_report": "on_change"}])
def test_on_change(options):
    """Only changes are said."""
    bench = Bench({} if options else {"report": "on_change"}, **options)
    assert said(bench, 1, 1, 2, 2, "x", "x", [1], [1], [2]) == [1, 2, "x", [1], [2]]


def test_deadband():
    """A deadband is measured from the last reported value, so a slow drift is said too; its own width is a change."""
    bench = Bench({"deadband": 1})
    assert said(bench, 10, 10.5, 10.9, 11, 11.5, 10.5, 10) == [10, 11, 10]


def test_percent_deadband():
    """Percent of the last reported value; from zero any movement counts."""
    bench = Bench({"deadband": {"percent": 10}})
    assert said(bench, 100, 105, 110, 120, 121, 0, 0, 0.001) == [100, 110, 121, 0, 0.001]


def test_deadband_after_scaling():
    """A deadband is in the tag's unit."""
    bench = Bench({"deadband": 1, "scale": 0.5})
    assert said(bench, 10, 11, 12) == [5.0, 6.0]


def test_quality_changes_are_said_at_once():
    """A change of quality or code is said; a changed reason or value of something bad is not."""
    bench = Bench({"report": "on_change"})
    timeout, failure = number_of("BadTimeout"), number_of("BadDeviceFailure")
    readings = bench.read(1) + bench.read(1, status=timeout, reason="a") + bench.read(1, status=timeout, reason="b")
    readings += bench.read(1, status=failure) + bench.read(1) + bench.read(1) + bench.read(1, status=0x00300000)
    readings += bench.read(1, status=0x00300000) + bench.read(1)
    codes = [reading.code for reading in readings]
    assert codes == [None, "BadTimeout", "BadDeviceFailure", None, "GoodClamped", None]


def test_heartbeat_of_a_quiet_subscription():
    """An unchanged value is said again after max_silence with the agent's time, its own source time in src."""
    bench = Bench({"max_silence": "10s"})
    bench.read(5, src=[T0 - 70])
    bench.wait(9)
    assert bench.quiet() == []
    bench.wait(1)
    (reading,) = bench.quiet()
    assert (reading.value, reading.ts, reading.src, reading.why) == (5, T0 + 10_000, T0 - 70, "heartbeat")
    bench.wait(9.5)
    assert bench.quiet() == []
    bench.wait(0.5)
    assert len(bench.quiet()) == 1


def test_heartbeat_of_a_polled_tag():
    """A polled value that does not change is said again with its newest answer, which needs no src."""
    bench = Bench({"deadband": 1, "max_silence": "2s"})
    readings = []
    for raw in (5, 5.1, 5.2, 5.3, 5.4):
        readings += bench.read(raw)
        bench.wait()
    assert [(reading.value, reading.ts - T0, reading.src, reading.why) for reading in readings] == [
        (5, 0, None, "initial"),
        (5.2, 2000, None, "heartbeat"),
        (5.4, 4000, None, "heartbeat"),
    ]


def test_heartbeat_between_polls():
    """Any sample of the device lets a silent tag speak; src says when its value was read."""
    bench = Bench({"max_silence": "2s"}, {})
    bench.read(5, 1)
    bench.wait(2)
    other, silent = bench.read(2, tags=(1,))
    assert (other.tag, other.why) == ("t1", None)
    assert (silent.tag, silent.value, silent.ts, silent.src, silent.why) == ("t0", 5, T0 + 2003, T0, "heartbeat")


def test_heartbeat_says_the_newest_value():
    """What a deadband kept back is the newest value when a heartbeat comes, with its own time."""
    bench = Bench({"deadband": 1, "max_silence": "2s"})
    bench.read(5.0, src=[T0])
    bench.wait()
    assert bench.read(5.3, src=[T0 + 500]) == []
    bench.wait()
    assert [(reading.value, reading.src) for reading in bench.quiet()] == [(5.3, T0 + 500)]


def test_heartbeat_of_something_bad():
    """Bad states are said again too, with code and reason."""
    bench = Bench({"report": "on_change", "max_silence": "2s"})
    bench.read(None, status=number_of("BadTimeout"), reason="slow")
    bench.wait(2)
    (reading,) = bench.read(None, status=number_of("BadTimeout"), reason="slow")
    assert (reading.quality, reading.code, reading.reason, reading.why) == ("bad", "BadTimeout", "slow", "heartbeat")


def test_no_heartbeat_before_the_first_reading():
    """What was never said is not said again."""
    bench = Bench({"max_silence": "1s"}, {"max_silence": "1s"})
    bench.read(1, tags=(0,))
    bench.wait(5)
    assert [reading.tag for reading in bench.quiet()] == ["t0"]


def test_change_restarts_the_silence():
    """A change of value counts as said."""
    bench = Bench({"report": "on_change", "max_silence": "3s"})
    bench.read(1)
    bench.wait(2)
    bench.read(2)
    bench.wait(2)
    assert bench.read(2) == []
    bench.wait(1)
    assert [reading.why for reading in bench.read(2)] == ["heartbeat"]


def test_heartbeats_follow_monotonic_time():
    """A stepped wall clock makes nothing due and holds nothing back."""
    bench = Bench({"max_silence": "10s"})
    bench.read(1)
    bench.clock.step_wall(3600)
    assert bench.quiet() == []
    bench.clock.step_wall(-7200)
    bench.wait(10)
    assert [reading.ts for reading in bench.quiet()] == [T0]
