"""Connections and buses that devices share: each runs while at least one device uses it."""

from __future__ import annotations

from asyncio import Task, TaskGroup
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agent.core.backoff import Backoff
from agent.core.clock import Clock
from agent.core.ports import Bus
from agent.runtime.ending import end
from agent.runtime.supervisor import Attempt, Supervisor
from agent.telemetry import metrics

#: A bus may finish what is on its way for so long, seconds.
END_WITHIN = 1.0


@dataclass
class _Driven:
    bus: Bus
    task: Task[None]
    users: int = 0


class Buses:
    """The buses that run. Belongs to the event loop."""

    def __init__(self, group: TaskGroup, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._driven: dict[str, _Driven] = {}

    def standing(self, leaving: Collection[Mapping[str, Bus]] = ()) -> dict[str, Bus]:
        """Those that will still run when the users who take `leaving` have left, by key."""
        gone = [key for taken in leaving for key in taken]
        return {key: one.bus for key, one in self._driven.items() if one.users > gone.count(key)}

    def use(self, taken: Mapping[str, Bus]) -> None:
        """One more user takes these; those that are new begin to run."""
        for key, bus in taken.items():
            driven = self._driven.get(key)
            if driven is None:
                task = self._group.create_task(self._drive(key, bus), name=f"bus {key}")
                driven = self._driven[key] = _Driven(bus, task)
            driven.users += 1

    async def release(self, taken: Mapping[str, Bus]) -> None:
        """A user has left; return when the buses nobody uses any more have ended."""
        ended: list[Task[None]] = []
        for key in taken:
            driven = self._driven[key]
            driven.users -= 1
            if not driven.users:
                del self._driven[key]
                ended.append(driven.task)
                metrics.forget("component", f"bus {key}")
        await end(ended, END_WITHIN)

    async def _drive(self, key: str, bus: Bus) -> None:
        supervisor = Supervisor(f"bus {key}", clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await bus.run()

        await supervisor.run(attempt)
