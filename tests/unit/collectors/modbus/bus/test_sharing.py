"""Another master on the bus."""

from __future__ import annotations

from agent.collectors.modbus.bus.sharing import ONE_HEARD, REASON, SharedBus


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
