"""Items for the historian's stores, and messages as an agent publishes them."""

from __future__ import annotations

import json
from typing import Any

from agent.consumer.contract import GapNotice, Reading
from agent.historian.contents import SourceMessage, read
from agent.historian.items import AgentClaim, EndedEpoch, Gap, Item, Record
from agent.historian.ledger import Key

NOW = 1_790_000_000_000  #: epoch milliseconds, a day in 2026
PATH = "edge/plant/press-01"
EPOCH = "01KB2XJ5W3Q8Z6T0M4N7V9YACD"
LATER = "01KB3XJ5W3Q8Z6T0M4N7V9YACD"


def key(epoch: str = EPOCH, device: str = "press-01", agent: str = "gw-01") -> Key:
    return Key(agent, epoch, device)


def reading(value: Any = 1.5, tag: str = "t", ts: int = NOW, **more: Any) -> Reading:
    return Reading(tag=tag, value=value, ts=ts, quality=more.pop("quality", "good"), **more)


def envelope(seq: int = 1, low: int = 1, readings: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A record as an agent publishes it."""
    given = [{"tag": "t", "value": 1.5, "ts": NOW, "quality": "good"}] if readings is None else readings
    return {
        "schema": "edge.readings.v1", "agent": "gw-01", "device": "press-01", "epoch": EPOCH, "seq": seq, "low": low,
        "ts": NOW, "cat": 1, "readings": given,
    } | more  # fmt: skip


def message(document: object, topic: str = f"{PATH}/readings", *, retained: bool = False) -> SourceMessage:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return SourceMessage("plant", "edge", topic, payload, retained, NOW)


def record(seq: int = 1, low: int = 1, readings: list[dict[str, Any]] | None = None, **more: Any) -> Record:
    (item,) = read(message(envelope(seq, low, readings, **more)))
    assert isinstance(item, Record)
    return item


def gap(kind: str = "lost", first: int | None = 1, last: int | None = 1, epoch: str | None = EPOCH, **more: Any) -> Gap:
    notice = GapNotice(
        id=more.pop("id", f"{kind}-{epoch}-{first}-{last}"), kind=kind, from_ts=NOW, to_ts=NOW, reason="a test",
        agent="gw-01", device="press-01", epoch=epoch, from_seq=first, to_seq=last,
    )  # fmt: skip
    return Gap(PATH, notice)


def claim(low: int = 1, *, epoch: str = EPOCH, before: list[tuple[Any, ...]] | None = None) -> AgentClaim:
    return AgentClaim("plant", key(epoch), low, [EndedEpoch(*one) for one in before or []])


def status(document: object, topic: str) -> list[Item]:
    return list(read(message(document, topic)))
