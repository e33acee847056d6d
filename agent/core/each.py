"""What the iterator of `Collector.open()` may offer beside itself: samples are taken where they arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from agent.core.flow import Sample

TakenT = TypeVar("TakenT")


@runtime_checkable
class EachSample(Protocol):
    """Samples that can be had without a task that is woken for each of them."""

    async def each_sample(self, take: Callable[[Sample], TakenT | None], /) -> TakenT:
        """Call `take` with each sample in the turn of the loop in which it is there, until it says something.

        That is returned. Raises what the iterator would, and what `take` raises; like it, it may be cancelled and asked
        again.
        """
