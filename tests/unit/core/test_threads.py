"""Work in a thread of its own: its result, its error, and what never comes back holds nobody up."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.core import threads
from agent.core.threads import TURN, calculated, run_in_thread
from tests.support.waiting import eventually


async def test_result_and_error():
    """Whoever waits gets what the function returned or raised."""
    assert await run_in_thread(lambda: 7, "x") == 7
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 / 0, "x")


async def test_many_that_hang_take_no_place():
    """A hundred that hang leave room for the next one; who gave up is not told any more."""
    release = threading.Event()
    hanging = [run_in_thread(release.wait, "hangs") for _ in range(100)]
    assert await run_in_thread(lambda: "answer", "x") == "answer"
    assert not any(one.done() for one in hanging)
    for one in hanging[:50]:
        one.cancel()
    release.set()
    assert all(await asyncio.gather(*hanging[50:]))


async def test_who_calculates_lets_the_loop_have_its_turns():
    """Short turns and no collection of garbage, for as long as anybody calculates; an error ends that as well."""
    before = (sys.getswitchinterval(), True)
    began, go_on = threading.Event(), threading.Event()

    def manners() -> tuple[float, bool]:
        return sys.getswitchinterval(), gc.isenabled()

    def longer() -> tuple[float, bool]:
        began.set()
        go_on.wait()
        return manners()

    async with asyncio.TaskGroup() as group:
        other = group.create_task(calculated(longer))
        await asyncio.to_thread(began.wait)
        with pytest.raises(ZeroDivisionError):
            await calculated(lambda: 1 / 0)
        assert manners() == pytest.approx((TURN, False))
        go_on.set()
    assert other.result() == pytest.approx((TURN, False))
    assert manners() == before


async def test_who_hangs_at_a_file_does_not_keep_garbage(monkeypatch: pytest.MonkeyPatch):
    """A network drive may never answer: after a while there are collections again."""
    monkeypatch.setattr(threads, "LONGEST", 0.0)
    began, go_on = threading.Event(), threading.Event()

    def hangs() -> None:
        began.set()
        go_on.wait()

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(calculated(hangs))
        await asyncio.to_thread(began.wait)
        await eventually(gc.isenabled, what="garbage is looked for")
        assert not hanging.done()
        go_on.set()
    assert gc.isenabled()


async def test_who_gives_up_before_there_is_a_thread_is_over():
    """All threads are taken, and the reload is cancelled: nobody calculates."""
    go_on = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(go_on.wait))
            waits = group.create_task(calculated(gc.isenabled))
            try:
                await asyncio.sleep(0)
                assert not gc.isenabled()
                waits.cancel()
                await asyncio.wait([waits])
                assert gc.isenabled()
            finally:
                go_on.set()
