"""Whose turn it is on a bus: each unit has its own queue, and the units take turns. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.collectors.common.pending import Pending
from agent.collectors.modbus.bus.transaction import ReadRequest, UnitReply

_LATER = float("inf")
NOBODY = -1  #: the unit of those who only want the connection


class PendingRequest(Pending[UnitReply]):
    """Somebody waits for an answer."""

    def __init__(self, unit: int, request: ReadRequest | None) -> None:
        """`request`: None: only connect."""
        self.unit = unit
        self.request = request


class Turns:
    """Jobs by unit. What was abandoned while it waited is dropped."""

    def __init__(self) -> None:
        self._queues: dict[int, list[PendingRequest]] = {}
        self._order: list[int] = []  #: units with work, the next one first; no deque: 760 bytes, and a unit or a few

    def put(self, job: PendingRequest) -> None:
        """Behind what its unit has waiting already."""
        queue = self._queues.setdefault(job.unit, [])
        if not queue:
            self._order.append(job.unit)
        queue.append(job)

    def waits(self, unit: int) -> bool:
        """Whether it wants to ask something."""
        return unit in self._queues

    def take(
        self,
        rest: Callable[[int], float] = lambda _unit: 0.0,
        behind: Callable[[int], bool] | None = None,
    ) -> PendingRequest | float | None:
        """The next job of the unit whose turn it is, or the seconds until one need not rest any more, or None.

        `behind`: units that are asked only where no other wants to be.
        """
        if behind is None:
            return self._next(rest)
        taken = self._next(lambda unit: _LATER if behind(unit) else rest(unit))
        return taken if taken is None or isinstance(taken, PendingRequest) else self._next(rest)

    def _next(self, rest: Callable[[int], float]) -> PendingRequest | float | None:
        soonest: float | None = None
        for _ in range(len(self._order)):
            unit = self._order.pop(0)
            queue = self._queues[unit]
            while queue and queue[0].over:  # abandoned
                queue.pop(0)
            if not queue:
                del self._queues[unit]
                continue
            wait = rest(unit)
            self._order.append(unit)
            if wait > 0:
                soonest = wait if soonest is None else min(soonest, wait)
                continue
            job = queue.pop(0)
            if not queue:
                self._order.pop()
                del self._queues[unit]
            return job
        return soonest
