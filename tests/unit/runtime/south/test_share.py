from __future__ import annotations

from agent.runtime.south.share import Share


def test_a_device_takes_a_third_of_the_loop() -> None:
    """Little bits never; a large one a tenth of a second is owed for, or many without a pause."""
    share = Share()
    assert [share.took(0.01, now / 10) for now in range(20)] == [0.0] * 20
    assert round(share.took(0.06, 10.0), 6) == 0.18
    share = Share()
    rests, now = [], 100.0
    for _ in range(100):
        now += 0.01
        rests.append(share.took(0.01, now))
        now += rests[-1]
    assert 2.8 < now - 100.0 < 3.4, "a second of work in three"
    assert share.took(60.0, now) <= 1.0
