"""Declared losses as text: the same JSON object that `{topic}/gaps` carries (docs/messages.md)."""

from __future__ import annotations

import msgspec

from agent.core.flow import Gap
from agent.encoders.common.messages import GapMessage


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
