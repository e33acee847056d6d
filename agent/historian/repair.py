"""Asks agents for what is missing (DESIGN of the messages: docs/messages.md, "Asking for records")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from agent.core.clock import Clock
from agent.core.ids import ulid
from agent.historian.agents import Agents
from agent.historian.database import Database
from agent.historian.intake import SourceIntake
from agent.historian.planner import Planner, RepairPlan, RepairRequest
from agent.historian.stores.port import Hole, RepairMark
from agent.historian.writer import Writer
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: Seconds between two looks at what is missing.
LOOK = 1.0
#: Holes looked after at a time.
MOST_HOLES = 5_000
#: What an agent lacks that answers no requests, to be pasted.
LINE = "outbox: {keep_acked: {age: 1h, max_bytes: 256MiB}}"

log = get_logger("historian")
_encode = msgspec.json.Encoder().encode


class Repair:
    """Runs until cancelled. Of several historians on one database one leads and asks: none with `repair: false`."""

    def __init__(
        self, database: Database, writer: Writer, sources: Mapping[str, SourceIntake], *,
        agents: Agents, asks: bool, clock: Clock,
    ) -> None:  # fmt: skip
        self.holes: list[Hole] = []
        self.leads = False
        self._database = database
        self._writer = writer
        self._sources = sources
        self._agents = agents
        self._asks = asks
        self._clock = clock
        self._planner: Planner | None = None
        self._began = True
        self._marks: list[RepairMark] = []
        self._told: set[str] = set()
        self._gave_up = 0
        self._repeats = Repeats()

    def hurry(self) -> None:
        """Our own session at a broker began: whatever is missing may have been lost there."""
        self._began = True

    def out_of_reach(self) -> dict[str, int]:
        """Records missing of agents that are not online, by agent."""
        missing: Counter[str] = Counter()
        for hole in self.holes:
            missing[hole.key.agent] += hole.last - hole.first + 1
        return {agent: count for agent, count in missing.items() if not self._agents.online_somewhere(agent)}

    async def run(self) -> None:
        """Look, ask, look again."""
        while True:
            await self._clock.sleep(LOOK)
            await self._database.opened()  # also where no message comes that would have to be written
            store = self._database.store
            self.leads = self._asks and await self._database.ask(partial(store.leads)) is True
            holes = await self._database.ask(partial(store.holes, MOST_HOLES))
            if holes is None:
                continue
            self._look(holes)
            if not self.leads:
                self._planner = None
                continue
            await self._plan(holes)

    def _look(self, holes: Sequence[Hole]) -> None:
        if self.holes and not holes:
            log.info("historian.repaired", holes=len(self.holes))
        self.holes = list(holes)
        metrics.HISTORIAN_HOLES.set(len(holes))
        metrics.HISTORIAN_MISSING.set(sum(hole.last - hole.first + 1 for hole in holes))

    async def _plan(self, holes: Sequence[Hole]) -> None:
        store, now = self._database.store, self._clock.monotonic()
        if self._planner is None:
            marks = await self._database.ask(partial(store.marks))
            if marks is None:
                return
            self._planner, self._marks = Planner(marks, now), list(marks)
        self._hurry(holes, now)
        plan = self._planner.look(holes, self._agents, now, self._clock.now_ms())
        for ask in plan.asks:
            self._ask(ask)
        self._report(plan, holes)
        if plan.marks != self._marks:
            self._marks = plan.marks
            await self._database.ask(partial(store.mark, plan.marks))

    def _hurry(self, holes: Sequence[Hole], now: float) -> None:
        assert self._planner is not None  # noqa: S101 - made by the caller
        agents = self._writer.sessions()
        if self._began:
            agents |= {hole.key.agent for hole in holes} | self._agents.names
            self._began = False
        self._planner.hurry(agents, now)

    def _ask(self, ask: RepairRequest) -> None:
        hole, now_ms = ask.hole, self._clock.now_ms()
        key = hole.key
        request = {
            "id": ulid(now_ms), "device": key.device, "epoch": key.epoch, "from_seq": hole.first, "to_seq": hole.last,
        }  # fmt: skip
        payload = _encode(request)
        for name in ask.sources:
            source = self._sources.get(name)
            if source is not None:
                source.publish(f"{source.root}/agents/{key.agent}/resend", payload)
        metrics.HISTORIAN_ASKED.inc()
        if (repeats := self._repeats.due(("asked", key.agent, key.device), self._clock.monotonic())) is not None:
            log.info(
                "historian.asked", agent=key.agent, device=key.device, epoch=key.epoch, from_seq=hole.first,
                to_seq=hole.last, repeats=repeats,
            )  # fmt: skip

    def _report(self, plan: RepairPlan, holes: Sequence[Hole]) -> None:
        for agent in plan.refusing:
            if agent not in self._told:
                self._told.add(agent)
                missing = sum(hole.last - hole.first + 1 for hole in holes if hole.key.agent == agent)
                log.warning("historian.no_repair", agent=agent, missing=missing, line=LINE)
        given_up = sum(mark.repair == "given_up" for mark in plan.marks)
        if given_up > self._gave_up:
            log.warning("historian.gave_up", holes=given_up)
        self._gave_up = given_up
