"""One historian: sources → inbox → writer → database, and beside them repair and retention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agent.core.clock import Clock
from agent.historian.agents import Agents
from agent.historian.config import HistorianConfig
from agent.historian.database import Database
from agent.historian.gone import GoneAnswer, GoneQuestion, declare_gone
from agent.historian.intake import Inbox, SourceIntake
from agent.historian.repair import Repair
from agent.historian.stores.port import Store
from agent.historian.ways import Ways
from agent.historian.writer import Writer
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: Seconds between two looks for what `retention` has passed.
SWEEP = 3600.0
#: Before the first one: what is read now bears the clock out.
SETTLES = 60.0
#: At the end what is at hand is written within this, seconds; the rest stays at the broker.
DRAIN = 3.0
#: After a bug a part is started again, seconds.
BUG_RETRY = 5.0

log = get_logger("historian")


class Historian:
    """`run` it until `stop` is set."""

    def __init__(self, config: HistorianConfig, store: Store, clock: Clock, *, version: str) -> None:
        settings = config.historian
        self._config = config
        self._version = version
        self._clock = clock
        self._agents = Agents()
        self._inbox = Inbox()
        self._database = Database(store, settings.shown, clock)
        self._ways = Ways(list(config.sources))
        self._writer = Writer(self._inbox, self._database, agents=self._agents, ways=self._ways, clock=clock)
        self._sources = {
            name: SourceIntake(
                name,
                source,
                settings.id,
                group=settings.group,
                inbox=self._inbox,
                clock=clock,
                began=lambda _source: self._repair.hurry(),
                ended=self._agents.away,
            )
            for name, source in config.sources.items()
        }
        self._repair = Repair(
            self._database, self._writer, self._sources, agents=self._agents, asks=settings.repair, clock=clock
        )
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then within DRAIN seconds what is at hand is committed and the brokers are left."""
        async with asyncio.TaskGroup() as group:
            works = {f"source {name}": source.subscriber.run for name, source in self._sources.items()}
            works |= {"writer": self._writer.run, "repair": self._repair.run, "sweep": self._sweep}
            tasks = {name: group.create_task(self._keep(name, work), name=name) for name, work in works.items()}
            await stop.wait()
            self._stopping = True
            for name, task in tasks.items():
                if name != "writer":
                    task.cancel()
            await self._drain(tasks["writer"])
        await self._database.close()

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A bug costs a pause, never the historian."""
        bugs = Bugs(name)
        while True:
            try:
                await work()
            except Exception as bug:  # noqa: BLE001 - reported, and tried again
                bugs.met(bug)
                await self._clock.sleep(BUG_RETRY)

    async def _drain(self, writing: asyncio.Task[None]) -> None:
        if self._database.reason is None and len(self._inbox):
            deadline = self._clock.monotonic() + DRAIN
            while len(self._inbox) and self._clock.monotonic() < deadline and not writing.done():
                await self._clock.sleep(0.02)
        writing.cancel()
        await asyncio.wait([writing], timeout=DRAIN)

    async def _sweep(self) -> None:
        """Piece by piece: what comes meanwhile is written in between."""
        store = self._database.store
        await self._clock.sleep(SETTLES)
        while True:
            gone = 0
            while rows := await self._database.ask(partial(store.sweep, self._clock.now_ms())):
                gone += rows
            if gone:
                log.info("historian.swept", rows=gone)
            await self._clock.sleep(SWEEP if rows == 0 else 5.0)

    # --- asked --------------------------------------------------------------------------------------------------------

    def unready(self) -> str | None:
        """Why it does not work, for /readyz; None where it does."""
        if self._stopping:
            return "stopping"
        if (trouble := self._database.trouble) is not None:
            return f"database: {trouble[0]}"
        for name, source in self._sources.items():
            if source.reason is not None:
                return f"source {name}: {source.reason}"
        return None

    async def gone(self, asked: GoneQuestion) -> GoneAnswer:
        """What is missing of an agent counts as lost."""
        return await declare_gone(asked.agent, self._database, self._agents, self._clock.now_ms())

    def status(self) -> dict[str, Any]:
        """What `edge-agent status` shows and /api/v1/status answers."""
        settings, writer, repair = self._config.historian, self._writer, self._repair
        return {
            "historian": {
                "id": settings.id, "version": self._version, "group": settings.group, "leads": repair.leads,
                "state": "online" if self.unready() is None else "degraded", "reason": self.unready(),
                "newest": writer.newest, "stored_at": writer.stored_at, "waiting": len(self._inbox),
            },
            "database": self._database.shown(settings.shown, "historian.database_offline"),
            "sources": {
                name: source.shown(source.where, "historian.source_offline") for name, source in self._sources.items()
            },
            "agents_online": self._agents.online,
            "missing": {
                "holes": len(repair.holes),
                "records": sum(hole.last - hole.first + 1 for hole in repair.holes),
                "offline": repair.out_of_reach(),
            },
        }  # fmt: skip
