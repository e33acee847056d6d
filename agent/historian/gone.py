"""An agent that was taken away, or lost its outbox: what is missing of it counts as lost, on an operator's word."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from agent.consumer.contract import GapNotice
from agent.core.errors import AgentError
from agent.historian.agents import Agents
from agent.historian.database import Database
from agent.historian.items import Gap
from agent.historian.stores.port import Hole
from agent.historian.stores.transaction import GONE
from agent.telemetry.logging import get_logger

#: Gaps of one transaction, and holes looked at.
_AT_ONCE, _MOST = 1_000, 1 << 31
REASON = "an operator declared that it will not come any more"

log = get_logger("historian")


class GoneQuestion(Struct):
    """Which agent."""

    agent: str


class GoneAnswer(Struct):
    """Records that count as lost from now on."""

    records: int


class NotDone(AgentError):
    """It is not done, and why."""


async def declare_gone(agent: str, database: Database, agents: Agents, now_ms: int) -> GoneAnswer:
    """Of an agent that is online only what was asked for in vain, for a day. What comes all the same is stored."""
    store = database.store
    holes, marks = await database.ask(partial(store.holes, _MOST)), await database.ask(partial(store.marks))
    if holes is None or marks is None:
        raise NotDone(f"the database cannot be had: {database.reason}")
    own = {hole.stream: hole for hole in holes if hole.key.agent == agent}
    if not own:
        others = ", ".join(sorted({hole.key.agent for hole in holes})[:10])
        elsewhere = f"; records of {others} are missing" if others else ", nor of any other agent"
        raise NotDone(f"nothing is missing of {agent}{elsewhere}")
    lost = [hole for hole in holes if hole.key.agent == agent]
    if agents.online_somewhere(agent):
        vain = [mark for mark in marks if mark.repair == "given_up" and mark.stream in own]
        lost = [own[mark.stream]._replace(first=mark.first, last=mark.last) for mark in vain]
        if not lost:
            raise NotDone(f"{agent} is online: it is asked for what is missing, for a day, and declares what it lost")
    gaps = list(_gaps(lost, now_ms))
    for at in range(0, len(gaps), _AT_ONCE):
        await database.write(gaps[at : at + _AT_ONCE])
    records = sum(hole.last - hole.first + 1 for hole in lost)
    log.warning("historian.agent_gone", agent=agent, records=records)
    return GoneAnswer(records)


def _gaps(lost: list[Hole], now_ms: int) -> Iterator[Gap]:
    for hole in lost:
        key, records = hole.key, hole.last - hole.first + 1
        name = f"{GONE}{key.epoch}-{key.device}-{hole.first}-{hole.last}"
        where = key.agent, key.device, key.epoch, hole.first, hole.last
        yield Gap("", GapNotice(name, "lost", now_ms, now_ms, REASON, *where, records=records))
