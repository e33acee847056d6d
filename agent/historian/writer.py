"""From the inbox into the database, transaction by transaction; acknowledged when committed.

While the database is away the batch at hand is kept and written again; nothing else is taken, so what comes meanwhile
waits at the broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agent.core.clock import Clock
from agent.historian.agents import Agents
from agent.historian.contents import RefusedError, read
from agent.historian.database import Database
from agent.historian.intake import Inbox, PendingMessage
from agent.historian.items import AgentClaim, AgentState, Catalogue, DeviceState, Gap, Item, Record
from agent.historian.stores.port import BadData, Written
from agent.historian.ways import Ways
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Claims remembered as written; an agent repeats them every 30 s.
_MOST_CLAIMS = 200_000
#: Items of one transaction: one status may claim any number of streams.
_MOST_ITEMS = 1_000

log = get_logger("historian")


class Writer:
    """Runs until cancelled. What it decides of a message is here; what a message says is in contents.py."""

    def __init__(self, inbox: Inbox, database: Database, *, agents: Agents, ways: Ways, clock: Clock) -> None:
        self.newest: int | None = None  #: when the newest live record stored was committed, epoch milliseconds
        self.stored_at: int | None = None  #: when something was stored last
        self._inbox = inbox
        self._database = database
        self._agents = agents
        self._ways = ways
        self._clock = clock
        self._began: set[str] = set()
        self._claimed: set[int] = set()
        self._opens = 0  #: of the database that has them
        self._repeats = Repeats()
        self._bugs = Bugs("historian")

    def sessions(self) -> set[str]:
        """Agents of which a session has begun since this was asked last."""
        began, self._began = self._began, set()
        return began

    async def run(self) -> None:
        """Batch by batch."""
        await self._database.opened()
        for way in await self._database.ask(partial(self._database.store.ways)) or ():
            self._ways.known(way)
        while True:
            await self._database.opened()
            await self._store(await self._inbox.take())

    async def _store(self, batch: Sequence[PendingMessage]) -> None:
        """Commit what these say, and acknowledge them. Nothing of them is held when it returns: they are megabytes."""
        metrics.HISTORIAN_WAITING.set(len(batch) + len(self._inbox))
        items = [item for delivery in batch for item in self._items(delivery)]
        for at in range(0, len(items), _MOST_ITEMS):
            await self._write(items[at : at + _MOST_ITEMS])
        for delivery in batch:
            delivery.done()
        metrics.HISTORIAN_WAITING.set(len(self._inbox))

    async def _write(self, items: Sequence[Item]) -> None:
        try:
            self._count(await self._database.write(items))
        except BadData:
            await self._one_by_one(items)
        except Exception as bug:  # noqa: BLE001 - costs an item, never the historian
            self._bugs.met(bug)
            await self._one_by_one(items)
        self._remember(items)

    async def _one_by_one(self, items: Sequence[Item]) -> None:
        """One of them cannot be stored: the others are."""
        for item in items:
            try:
                self._count(await self._database.write([item]))
            except Exception as error:  # noqa: BLE001 - what is acknowledged and not stored stays missing, and is asked for
                if not isinstance(error, BadData):
                    self._bugs.met(error)
                metrics.HISTORIAN_REFUSED.labels("database").inc()
                if (repeats := self._repeats.due("bad item", self._clock.monotonic())) is not None:
                    log.error(  # noqa: TRY400 - what is wrong is the data
                        "historian.bad_item", reason=str(error), item=type(item).__name__, repeats=repeats
                    )

    # --- a message ----------------------------------------------------------------------------------------------------

    def _items(self, delivery: PendingMessage) -> list[Item]:
        message = delivery.message
        try:
            return [item for item in read(message) if self._wanted(item, message.source)]
        except RefusedError as error:
            self._refused(error, message.topic)
        except Exception as bug:  # noqa: BLE001 - costs the message, never the process
            self._bugs.met(bug)
            metrics.HISTORIAN_REFUSED.labels("undecodable").inc()
        return []

    def _refused(self, error: RefusedError, topic: str) -> None:
        metrics.HISTORIAN_REFUSED.labels(error.reason).inc()
        key = ("refused", error.reason, topic if error.reason == "encoder" else "")
        if (repeats := self._repeats.due(key, self._clock.monotonic())) is not None:
            detail = str(error)[:500]
            log.warning("historian.refused", reason=error.reason, topic=topic[:200], detail=detail, repeats=repeats)

    def _wanted(self, item: Item, source: str) -> bool:
        match item:
            case Record():
                return self._first_way(source, item.key.agent, item.key.device, item.path)
            case Gap():
                return self._first_way(source, item.notice.agent, item.notice.device)
            case AgentClaim():
                return self._first_way(source, item.key.agent, item.key.device) and self._news(item)
            case DeviceState() | Catalogue():
                return self._ways.takes_path(source, item.path)
            case AgentState():
                if self._agents.heard(item):
                    self._began.add(item.agent)
        return True

    def _first_way(self, source: str, agent: str, device: str, path: str | None = None) -> bool:
        if self._ways.takes(source, agent, device, path):
            return True
        metrics.HISTORIAN_REFUSED.labels("second_way").inc()
        if (repeats := self._repeats.due(("second_way", source, agent, device), self._clock.monotonic())) is not None:
            log.warning("historian.second_way", source=source, agent=agent, device=device, repeats=repeats)
        return False

    def _news(self, claim: AgentClaim) -> bool:
        """Agents say it again every 30 s: what was written already is not written again."""
        if self._opens != self._database.opens:
            self._claimed.clear()
            self._opens = self._database.opens
        return _said(claim) not in self._claimed

    def _remember(self, items: Sequence[Item]) -> None:
        """They are committed."""
        if len(self._claimed) > _MOST_CLAIMS:
            self._claimed.clear()
        self._claimed.update(_said(item) for item in items if isinstance(item, AgentClaim))

    def _count(self, done: Written) -> None:
        metrics.HISTORIAN_ROWS.inc(done.rows)
        metrics.HISTORIAN_RECORDS.inc(done.records)
        metrics.HISTORIAN_DUPLICATES.inc(done.duplicates)
        metrics.HISTORIAN_LATE.inc(done.late)
        metrics.HISTORIAN_REPAIRED.inc(done.repaired)
        metrics.HISTORIAN_LOST.inc(done.lost)
        if done.given_up and (repeats := self._repeats.due("too many holes", self._clock.monotonic())) is not None:
            log.warning("historian.too_many_holes", holes=done.given_up, repeats=repeats)
        self.stored_at = self._clock.now_ms()
        if done.aside:
            metrics.HISTORIAN_ASIDE.inc(done.aside)
            if (repeats := self._repeats.due("aside", self._clock.monotonic())) is not None:
                log.warning("historian.kept_aside", detail=f"{done.aside} messages", repeats=repeats)
        if done.newest is not None:
            self.newest = max(self.newest or done.newest, done.newest)
            metrics.HISTORIAN_LAG.set(max(0, self.stored_at - done.newest) / 1000)


def _said(claim: AgentClaim) -> int:
    """A number in place of it: names may be long. What was claimed once holds for ever, in whatever order it came."""
    return hash((claim.source, claim.key, claim.low, tuple(claim.before)))
