"""Another master on the bus."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from agent.collectors.modbus.bus.observer import Observer
from agent.collectors.modbus.bus.sharing import ONE_HEARD, REASON, SharedBus
from agent.collectors.modbus.bus.standing import UnitStanding
from agent.testing.clock import ManualClock


def test_three_frames_within_ten_seconds() -> None:
    """Fewer, or more slowly, may be anything; it is over after a minute without one."""
    bus = SharedBus()
    news = [bus.look([0.0, 6.0, 12.0], 12.0), bus.look([13.0], 13.0), bus.look([14.0, 50.0], 50.0), bus.look([], 109.0)]
    assert bus.doubt(50.0) == REASON
    assert news == [False, True, False, False], "three since 6.0"
    assert bus.look([], 110.0)
    assert not bus.look([111.0], 111.0), "the old ones do not count again"
    assert not bus.shared
    assert (bus.doubt(121.0), bus.doubt(121.1)) == (ONE_HEARD, None), "one alone, for ten seconds"


def test_one_frame_is_told() -> None:
    """What is uncertain for ten seconds has a line in the log that says why."""
    clock = ManualClock()
    observer = Observer("10.0.0.5:502", clock, UnitStanding(clock))
    wire: Any = SimpleNamespace(late=[], doubled=0, strangers=[clock.monotonic()])
    with capture_logs() as said:
        observer.look(wire)
    assert [line["event"] for line in said] == ["modbus.frame_unasked"]
    assert observer.doubt == ONE_HEARD
