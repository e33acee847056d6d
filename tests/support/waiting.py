"""Waiting for conditions with a deadline: the only sleeps of the whole suite."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, overload

T = TypeVar("T")

STEP = 0.01
#: Seconds until a wait is given up. Generous, since only a failing test ever waits so long: the longest back-off draws
#: up to 60 s, and a busy machine takes its time.
PATIENCE = 75.0


def _give_up(condition: Callable[..., Any], timeout: float, what: str, last: object) -> AssertionError:
    name = what or getattr(condition, "__name__", repr(condition))
    return AssertionError(f"not within {timeout:g} s: {name} (last seen: {last!r})")


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout: float = PATIENCE, what: str = "") -> T: ...
@overload
async def eventually(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T: ...
async def eventually(condition: Callable[[], T | Awaitable[T]], timeout: float = PATIENCE, what: str = "") -> T:
    """Poll `condition` (plain or async) until it is true and return what it gave; AssertionError after `timeout` s.

    An AssertionError out of the condition counts as "not yet", so a condition may itself assert.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            result = condition()
            value = cast("T", await result if inspect.isawaitable(result) else result)
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            raise _give_up(condition, timeout, what, last)
        await asyncio.sleep(STEP)


def eventually_sync(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
    """`eventually` for fixtures and tests without a loop."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise _give_up(condition, timeout, what, value)
        time.sleep(STEP)


async def never(condition: Callable[[], object], during: float = 0.2, what: str = "") -> None:
    """Fail as soon as `condition` is true within `during` seconds. For what must not happen; keep it short."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        value = condition()
        if value:
            raise AssertionError(f"happened, but must not: {what or condition!r} ({value!r})")
        await asyncio.sleep(STEP)
