"""What an outbox takes over from its file when it is opened, and what it declares then. Pure."""

from __future__ import annotations

import msgspec

from agent.core.flow import Gap
from agent.core.ids import ulid
from agent.outbox.bounds import AgeLimit
from agent.outbox.declarations import declarations, over, recorded
from agent.outbox.file.transaction import Opened, Row
from agent.outbox.state import OutboxState


def adopt(state: OutboxState, opened: Opened, *, started_ms: int, again: bool) -> list[int]:
    """Take over what the file knows and declare what happened; `again` after damage met in mid-run.

    Returns the streams nothing is left of, for the file to forget.
    """
    book = state.book
    if again:
        book.forget_file()
        state.acked.clear()
        state.doomed.clear()
        state.refused.clear()
        state.again.forget()
        state.open_gaps.clear()
    previous = None if opened.previous_epoch == book.epoch else opened.previous_epoch
    book.load(opened.streams, opened.lows, {previous, book.epoch})
    state.last_row = max(state.last_row, opened.last_row)
    state.last_committed = max(state.last_committed, opened.last_row)
    state.records = opened.records + len(state.ring)
    state.bytes = opened.size + state.ring.bytes
    state.oldest = opened.oldest
    state.filled(opened.pages, opened.vacant)
    state.quarantined = opened.quarantined
    state.again.adopt(opened.again, opened.again_last)
    state.memo.load(opened.memo)
    if not state.adopted:
        state.adopted = True
        spared = state.spared.on
        state.recorded = recorded(opened, state.settings.durability, spared=spared)
        state.age = AgeLimit(state.settings.max_age, opened.last_row + 1)
        if state.lanes is not None:
            state.lanes.file_appeared(opened.last_row, opened.records)
        for stream, gap in declarations(opened, state.settings.durability, started_ms, spared=spared):
            state.declare(book.of(stream.device, stream.epoch), gap)
        for row in _still_down(state, opened):
            _longer(state, row, started_ms)
    if opened.damage is not None:
        _damaged(state, opened, started_ms, again=again)
    rows = {low.id for low in opened.lows} | opened.shelved
    forget = over(opened.streams, rows, previous if not again else book.epoch, started_ms, book.epoch)
    book.forget(forget)
    return forget


def _still_down(state: OutboxState, opened: Opened) -> list[Row]:
    """The newest declaration of each device that has said nothing since: an earlier one ended when the device spoke."""
    spoke = {stream.device for stream in opened.streams if stream.epoch == opened.previous_epoch}
    newest: dict[str, Row] = {}
    for row in sorted(opened.downs, key=lambda one: one.row):
        track = state.book.by_id(row.stream)
        if track is not None and track.stream.device not in spoke:
            newest[track.stream.device] = row
    return list(newest.values())


def _longer(state: OutboxState, row: Row, started_ms: int) -> None:
    """A device that was down before the last run, said nothing during it, and nobody has been told: one longer gap.

    Under a new id, because a consumer may have had the shorter one without its acknowledgement reaching us. So an agent
    that dies at every start adds no gap each time.
    """
    track, gap = state.book.by_id(row.stream), row.content
    if track is not None and isinstance(gap, Gap) and gap.kind == "down":
        state.doomed[row.row] = row.stream
        state.records -= 1
        state.bytes -= row.size
        later = max(gap.to_ts, started_ms)
        state.declare(track, msgspec.structs.replace(gap, id=ulid(started_ms), to_ts=later))


def _damaged(state: OutboxState, opened: Opened, started_ms: int, *, again: bool) -> None:
    reason = f"outbox file damaged: {opened.damage}"
    if again:
        # The numbers of this run are known, and which of them were still owed.
        for track in list(state.book):
            if track.committed >= track.stream.low:
                gap = Gap(
                    id=ulid(started_ms), kind="lost", reason=reason,
                    device=track.stream.device, epoch=track.stream.epoch,
                    from_seq=track.stream.low, to_seq=track.committed, from_ts=track.ts, to_ts=state.clock.now_ms(),
                )  # fmt: skip
                state.declare(track, gap)
    elif not opened.streams:
        # Not even the streams can be read: each device is told when it first says something again.
        state.unknown_loss = (reason, started_ms)
