"""Calculations of a reload."""

from __future__ import annotations

import asyncio
import threading

from agent.collectors.common.planning import planned


async def test_one_at_a_time_and_off_the_loop() -> None:
    """However many devices change, one other thread at most wants the interpreter that the loop needs."""
    go_on = threading.Event()
    under_way: list[int] = []
    most = 0

    def work() -> None:
        nonlocal most
        under_way.append(threading.get_ident())
        go_on.wait(0.01)
        most = max(most, len(under_way))
        assert under_way.pop() != threading.main_thread().ident

    await asyncio.gather(*(planned(work) for _ in range(4)))
    assert most == 1
