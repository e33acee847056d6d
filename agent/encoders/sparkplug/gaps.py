"""Declared losses: what was lost on the way here, and what no metric can say. Pure but for the memo.

A loss is the newest value of a metric of the node, as text: the JSON object of `{topic}/gaps` (docs/messages.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.core.flow import Gap, Reading, Record
from agent.core.ids import ulid
from agent.core.ports import Memo
from agent.encoders.common.messages import GapMessage

_KEY = "sparkplug.gap"


class DeclaredLosses:
    """What was declared, remembered beyond sessions: every birth of the node says the last one again."""

    def __init__(self, memo: Memo, agent: str) -> None:
        self._memo = memo
        self._agent = agent

    def declare(self, gap: Gap, room: int, now: int) -> str:
        """The words for it, `room` bytes at most; said at `now`, for births to come as well."""
        text = declaration(gap, self._agent, room)
        self._memo.put(_KEY, b"%d %b" % (now, text))
        return text.decode()

    def last(self) -> tuple[int, str] | None:
        """When the last one was declared, and its words. A note nobody can read is none."""
        said, _, text = (self._memo.get(_KEY) or b"").partition(b" ")
        return (int(said), text.decode("utf-8", "replace")) if said.isdigit() and text else None


def declaration(gap: Gap, agent: str, room: int) -> bytes:
    """At most `room` bytes: a declaration that does not fit would itself be lost, rather "any tag" than none."""
    declared = GapMessage(
        id=gap.id, kind=gap.kind, agent=agent, device=gap.device, epoch=gap.epoch, from_seq=gap.from_seq,
        to_seq=gap.to_seq, from_ts=gap.from_ts, to_ts=gap.to_ts, tags=gap.tags, records=gap.records,
        readings=gap.readings, reason=gap.reason,
    )  # fmt: skip
    text = msgspec.json.encode(declared)
    if len(text) > room:
        declared.tags = None
        text = msgspec.json.encode(declared)
    return text


def unsaid(record: Record, readings: Sequence[Reading]) -> Gap:
    """These readings of a record have no metric. Said again, the record gives the same gap, under the same id."""
    stream = record.stream
    times = [reading.ts for reading in readings]
    return Gap(
        id=ulid(record.ts, of=f"{stream.epoch}/{stream.device}/{record.seq}"), kind="dropped", device=stream.device,
        from_ts=min(times), to_ts=max(times), epoch=stream.epoch, from_seq=record.seq, to_seq=record.seq,
        tags=sorted({reading.tag for reading in readings}), readings=len(readings),
        reason="no longer configured: no metric can say it",
    )  # fmt: skip
