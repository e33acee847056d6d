"""Calculations of a reload, off the loop and one after the other.

Threads share one interpreter: with a thread for each changed device none is done sooner, and the loop waits for its
turn behind all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from agent.core.threads import calculated

P = ParamSpec("P")
T = TypeVar("T")

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def planned(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, when those before it are done."""
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await calculated(work, *args, **kwargs)
