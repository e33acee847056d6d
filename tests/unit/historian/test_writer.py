"""The database in its thread: what it raises, and what it does not."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import cast

import pytest

from agent.core.errors import PermanentError
from agent.historian.agents import Agents
from agent.historian.database import STUCK, Database
from agent.historian.intake import Inbox, PendingMessage
from agent.historian.items import AgentClaim
from agent.historian.stores.away import StoreAway
from agent.historian.stores.port import Store, Written
from agent.historian.ways import Ways
from agent.historian.writer import Writer
from agent.publishers.mqtt.client import Connection
from agent.testing.clock import ManualClock
from tests.support.historian import message
from tests.support.waiting import eventually


class Sent:
    """A connection."""

    def acknowledge(self, mid):
        pass


class Scripted:
    """A store that does what the test says."""

    def __init__(self):
        self.opens = 0
        self.on_open = []
        self.on_write = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.written = []

    def open(self):
        self.opens += 1
        if self.on_open:
            raise self.on_open.pop(0)

    def write(self, items, _now):
        self.go_on.wait(30)
        if self.on_write:
            raise self.on_write.pop(0)
        self.written.append(items)
        return Written(rows=1)

    def close(self):
        pass


@pytest.fixture
async def make():
    """A database on a scripted store, closed after the test."""
    made = []

    def make(clock):
        store = Scripted()
        database = Database(cast("Store", store), "somewhere", clock)
        made.append(database)
        return store, database

    yield make
    for database in made:
        await database.close()


async def test_a_transaction_that_breaks_off_is_written_again_when_the_database_is_back(make):
    """The same items, after opening anew; whoever asks meanwhile hears why."""
    clock = ManualClock()
    store, database = make(clock)
    store.on_open, store.on_write = [StoreAway("not yet")], [StoreAway("broke off")]
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(database.write(["item"]))
        while not writing.done():
            await eventually(lambda: clock.sleepers or writing.done(), what="it waits")
            await clock.advance(60)
        assert (await writing).rows == 1
    assert store.written == [["item"]]
    assert store.opens == 3
    assert database.trouble is None


async def test_a_database_that_opens_and_takes_nothing_is_not_online(make):
    """A full disk, a read-only replica: it opens each time, and `status` must not say meanwhile that all is well."""
    clock = ManualClock()
    store, database = make(clock)
    await database.opened()
    store.on_write = [StoreAway("disk full")] * 3
    told: list[tuple[str, float] | None] = []
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(database.write(["item"]))
        for _ in range(3):
            await eventually(lambda: clock.sleepers, what="a transaction failed")
            store.go_on.clear()  # the next one is under way, on a database that was opened again
            await clock.advance(60)
            await eventually(lambda: database.opens == len(told) + 2, what="it is open again")
            told.append(database.trouble)
            store.go_on.set()
        await writing
    assert told == [("disk full", clock.monotonic() - 180)] * 3
    assert database.trouble is None


async def test_what_agents_claim_is_written_anew_into_a_database_that_was_opened_anew(make):
    """It may be yesterday's backup: without it nobody would know of what came since of a device that is silent now."""
    clock = ManualClock()
    store, database = make(clock)
    writer = Writer(Inbox(), database, agents=Agents(), ways=Ways(["plant"]), clock=clock)
    told = {"state": "online", "session": "s", "streams": {"d": {"epoch": "E", "low": 5, "next": 5}}}
    claim = PendingMessage(message(told, "edge/agents/gw/status"), cast("Connection", Sent()), 1)
    await database.opened()
    for _ in range(2):
        await writer._store([claim])
    store.on_write = [StoreAway("stopped")]
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(database.write(["item"]))
        while not writing.done():
            await eventually(lambda: clock.sleepers or writing.done(), what="it waits")
            await clock.advance(60)
    await writer._store([claim])
    claims = [sum(isinstance(one, AgentClaim) for one in items) for items in store.written]
    assert claims == [1, 0, 0, 1]


async def test_a_database_that_cannot_be_used_is_tried_again_every_five_minutes(make):
    """With the reason until then."""
    clock = ManualClock()
    store, database = make(clock)
    store.on_open = [PermanentError("too old", "upgrade it")]
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(database.opened())
        await eventually(lambda: clock.sleepers, what="it waits")
        assert database.trouble is not None
        assert database.trouble[0] == "too old -> upgrade it"
        told = database.shown("plant.db", "historian.database_offline")
        assert (told["state"], told["reason"], told["do"]) == ("offline", "too old", "upgrade it")
        await clock.advance(301)
        await opening
    assert (store.opens, database.trouble) == (2, None)


@pytest.mark.parametrize("what", ["write", "ask"])
async def test_a_database_that_hangs_is_told(make, what):
    """A call that does not return is no healthy database, whether anything has to be written or not."""
    clock = ManualClock()
    store, database = make(clock)
    await database.opened()
    store.go_on.clear()
    async with asyncio.TaskGroup() as group:
        call = database.write(["item"]) if what == "write" else database.ask(partial(store.go_on.wait, 30))
        hanging = group.create_task(call)
        await eventually(lambda: database._waiting, what="it waits")
        assert database.trouble is None
        await clock.advance(STUCK + 1)
        assert "hangs" in str(database.trouble)
        store.go_on.set()
        await hanging
    assert database.trouble is None
