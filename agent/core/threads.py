"""Run what blocks in a thread of its own, and what calculates for long beside the loop.

Threads share one interpreter: what a thread calculates holds up the loop as well, each time the loop wants it back, and
a collection of garbage in a thread all at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: The loop gets the interpreter back within this from who calculates beside it, seconds. Python's own 5 ms come once
#: for each socket that is read or written.
TURN = 0.0005
#: Nobody calculates for longer, seconds.
LONGEST = 30.0


class _Calculating:
    """While somebody calculates: short turns, and nobody looks for garbage. What is made by then is none yet, and
    looking through the models of ten thousand tags takes 30 ms at a stretch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calculations: set[object] = set()
        self._before = (0.0, True)

    def begins(self, calculation: object) -> None:
        """It is under way."""
        with self._lock:
            self._calculations.add(calculation)
            if len(self._calculations) == 1:
                self._before = sys.getswitchinterval(), gc.isenabled()
                sys.setswitchinterval(TURN)
                gc.disable()

    def ends(self, calculation: object) -> None:
        """It is over, or does not count any more. Told twice it is told once."""
        with self._lock:
            if calculation not in self._calculations:
                return
            self._calculations.remove(calculation)
            if not self._calculations:
                interval, collects = self._before
                sys.setswitchinterval(interval)
                if collects:
                    gc.enable()


_calculating = _Calculating()


def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns or raises; meanwhile the loop, which is another thread's, has its turns."""
    calculation = object()
    _calculating.begins(calculation)
    try:
        return work(*args, **kwargs)
    finally:
        _calculating.ends(calculation)


async def calculated(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same in a thread. `work` may hang at a file: after :data:`LONGEST` garbage is looked for all the same."""
    calculation = object()
    begun = False

    def calculate() -> T:
        nonlocal begun
        begun = True
        try:
            return work(*args, **kwargs)
        finally:
            _calculating.ends(calculation)

    asyncio.get_running_loop().call_later(LONGEST, _calculating.ends, calculation)
    _calculating.begins(calculation)
    try:
        return await asyncio.to_thread(calculate)
    finally:
        if not begun:  # given up while it waited for a thread: nobody else ends it
            _calculating.ends(calculation)


def run_in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """What the function returns or raises.

    In a thread that nobody waits for: a resolver or a network drive that hangs must neither take a place in the pool,
    where others wait for their turn, nor delay the end of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def settle(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def fail(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - handed to whoever waits
                loop.call_soon_threadsafe(fail, raised)
            else:
                loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
