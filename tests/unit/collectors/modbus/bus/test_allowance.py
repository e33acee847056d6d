"""A tenth of a bus's time, and a little in advance."""

from __future__ import annotations

from agent.collectors.modbus.bus.allowance import Allowance


def test_a_tenth_of_the_time_is_for_searching() -> None:
    """What may be spent is earned slowly, a little is at hand at the start, and a debt is worked off first."""
    allowance = Allowance(0.0)
    at_first = allowance.free
    allowance.spend(1.5)
    assert (at_first, allowance.free) == (True, False)
    allowance.earn(9.0)
    early = allowance.free
    allowance.earn(11.0)
    assert (early, allowance.free) == (False, True)
    spent, now = 0.0, 1000.0
    allowance.earn(now)
    for _ in range(1000):
        now += 1.0
        allowance.earn(now)
        while allowance.free:
            allowance.spend(0.3)
            spent += 0.3
    assert spent <= 0.1 * 1000 + 0.5 + 0.3
