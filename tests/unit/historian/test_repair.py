"""Who asks: of several historians on one database one, and never one that is told not to."""

from __future__ import annotations

import asyncio

import pytest

from agent.historian.agents import Agents
from agent.historian.ledger import Key
from agent.historian.repair import Repair
from agent.historian.stores.port import Hole
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually


class Database:
    """The store and the way to it; one hole."""

    def __init__(self):
        self.asked: list[str] = []
        self.store = self

    async def opened(self):
        """It is."""

    async def ask(self, question):
        await asyncio.sleep(0)
        return question()

    def leads(self):
        self.asked.append("leads")
        return True

    def holes(self, most):
        self.asked.append("holes")
        return [Hole(1, "plant", Key("gw", "E", "d"), 3, 4)][:most]

    def marks(self):
        return []

    def mark(self, marks):
        self.asked.append(f"mark {len(marks)}")


class Writer:
    def sessions(self):
        return set()


@pytest.mark.parametrize("asks", [True, False])
async def test_who_does_not_repair_does_not_lead(asks, monkeypatch):
    """So that another historian of the group, which does, is not kept from it; what is missing is known to both."""
    monkeypatch.setattr(ManualClock, "sleep", lambda _clock, _seconds: asyncio.sleep(0))
    database = Database()
    repair = Repair(database, Writer(), {}, agents=Agents(), asks=asks, clock=ManualClock())  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(repair.run())
        await eventually(lambda: database.asked.count("holes") > 2)
        task.cancel()
    assert repair.leads is asks
    assert ("leads" in database.asked) is asks
    assert ("mark 1" in database.asked) is asks
    assert len(repair.holes) == 1
