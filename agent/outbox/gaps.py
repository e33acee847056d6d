"""Declared losses: how they are made and when two become one. Pure.

Two gaps merge only where they meet: by their numbers, or, where the loss has none, by their times. A declaration must
never cover a number that was not lost, nor hours in which a second was.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from agent.core.flow import Gap, GapKind, Stream
from agent.core.ids import ulid

#: Losses without numbers are one declaration where less than this lies between them, milliseconds: whatever is lost
#: again and again says so in one message, and a consumer never takes more than this at a stretch for lost that was not.
NEAR_MS = 10_000

REASONS: dict[GapKind, str] = {
    "dropped": "outbox full",
    "expired": "older than max_age",
    "overflow": "memory full while the disk refused",
}


def gap_of(
    kind: GapKind, stream: Stream, seq: int, ts: int, readings: int, *, now_ms: int, reason: str | None = None
) -> Gap:
    """The declaration that one record is lost."""
    return Gap(
        id=ulid(now_ms),
        kind=kind,
        device=stream.device,
        epoch=stream.epoch,
        from_seq=seq,
        to_seq=seq,
        from_ts=ts,
        to_ts=ts,
        records=1,
        readings=readings,
        reason=REASONS[kind] if reason is None else reason,
    )


def key_of(gap: Gap) -> Hashable:
    """Gaps of one cause have one key."""
    return gap.kind, gap.device, gap.epoch, gap.reason, gap.late, None if gap.tags is None else tuple(gap.tags)


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def merged(earlier: Gap, later: Gap) -> Gap | None:
    """One declaration for both, under the earlier's id; None where they must stay two."""
    if key_of(earlier) != key_of(later) or earlier.kind in {"down", "lost"}:
        return None
    if (earlier.from_seq is None) != (later.from_seq is None) or (earlier.to_seq is None) != (later.to_seq is None):
        return None
    if earlier.to_seq is not None and later.from_seq != earlier.to_seq + 1:
        return None
    if earlier.to_seq is None and _between(earlier, later) >= NEAR_MS:
        return None
    return msgspec.structs.replace(
        earlier,
        to_seq=later.to_seq,
        from_ts=min(earlier.from_ts, later.from_ts),
        to_ts=max(earlier.to_ts, later.to_ts),
        records=_sum(earlier.records, later.records),
        readings=_sum(earlier.readings, later.readings),
    )


def _between(one: Gap, other: Gap) -> int:
    """Milliseconds that belong to neither; below zero where they overlap. A clock set back puts the later one first."""
    return max(one.from_ts, other.from_ts) - min(one.to_ts, other.to_ts)


def hold_of(gap: Gap) -> int | None:
    """The number at which a gap holds `low` of its stream until it is acknowledged itself.

    `down` excuses no number; and what was answered for once does not take `low` back.
    """
    return None if gap.kind == "down" or gap.late else gap.from_seq


def declares(gap: Gap) -> tuple[int, int] | None:
    """The numbers it says are lost, as far as it has both ends."""
    if gap.kind in {"down", "missed"} or gap.from_seq is None or gap.to_seq is None:
        return None
    return gap.from_seq, gap.to_seq
