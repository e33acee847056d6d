"""What goes into the next transaction, and what follows from its success or failure. Pure; belongs to the event loop.

`plan` empties the queues of the state into a job; `applied` tells everybody what is on disk now and fills the lanes;
`undone` puts everything back. Between them the thread writes.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import msgspec

from agent.core.flow import Batch, Gap, GapKind, Record
from agent.outbox.bounds import excess
from agent.outbox.file.pack import pack_gap
from agent.outbox.file.transaction import Committed, Job, Row
from agent.outbox.gaps import declares, hold_of, key_of, merged
from agent.outbox.lanes import Lanes
from agent.outbox.ring import Waiting
from agent.outbox.state import OpenGap, OutboxState
from agent.outbox.streams import Track

#: What one transaction takes at most: packed bytes, and records.
JOB_BYTES = 4 << 20
JOB_RECORDS = 2_000


class Growth(msgspec.Struct):
    """A gap on disk that grows by one that waited."""

    known: OpenGap
    gap: Gap
    size: int
    waiting: Waiting
    live: list[Record]  #: its record, where it was in the live lane


class PlannedCommit(msgspec.Struct):
    """A job and what it was made of."""

    job: Job
    gaps: list[Waiting]
    batches: list[Waiting]
    inserted: list[Waiting]
    growths: list[Growth]
    lanes: Lanes | None
    first_row: int
    told: list[tuple[int, int, int]]  #: what acknowledged gaps declared


def needs_room(state: OutboxState) -> bool:
    """Whether records on disk may have to go, by what is known without looking."""
    if state.settings.when_full == "drop_oldest" and state.bytes > state.limit:
        return True
    return state.oldest is not None and state.age.expired(*state.oldest, state.clock.monotonic())


def make_room(state: OutboxState, oldest: Sequence[Row]) -> None:
    """Give up what is too old, and the oldest where there is too much. `oldest` is the head of the file."""
    now = state.clock.monotonic()
    drops = state.settings.when_full == "drop_oldest"
    need = excess(state.bytes, state.limit) if drops else 0
    for row in oldest:
        kind: GapKind | None = None
        if state.age.expired(row.row, row.ts, now):
            kind = "expired"
        elif need > 0:
            kind = "dropped"
        if kind is not None and state.may_drop(row.row):
            state.drop(row, kind)
            need -= row.size


def plan(
    state: OutboxState, *, max_bytes: int = JOB_BYTES, max_records: int = JOB_RECORDS, spill: bool = True
) -> PlannedCommit:
    """The next transaction. Without `spill` what is in memory only stays there (see `OutboxState.spills`)."""
    gaps, batches = state.ring.take(max_bytes, max_records)
    first_row = state.last_row
    job = Job(
        acked=list(state.acked),
        dropped=list(state.doomed),
        quarantined=[(reason, state.clock.now_ms(), row) for row, (reason, _) in state.refused.items()],
        memo=state.memo.take(),
        touched={*state.acked.values(), *state.doomed.values(), *(stream for _, stream in state.refused.values())},
        again_acked=list(state.again.acked),
        again_refused=[(reason, state.clock.now_ms(), number) for number, reason in state.again.refused.items()],
        keep_acked=state.settings.keep_acked is not None,
        now_ms=state.clock.now_ms(),
    )
    made = PlannedCommit(job, gaps, batches, [], [], state.lanes, first_row, state.declared)
    for one in state.spared.spill() if spill else ():
        if not state.book.in_file(one.track):
            job.new_streams.append((one.track.id, one.track.stream.epoch, one.track.stream.device))
        size = len(one.packed)
        job.spilled.append((one.row, one.track.id, one.seq, one.seq, one.ts, size, one.readings, one.packed))
    tracks: dict[int, Track] = {}
    fresh: dict[int, int] = {}  # readings, by stream
    _insert(state, made, [waiting for waiting in gaps if not _grow(state, made, waiting)], tracks, fresh)
    _insert(state, made, batches, tracks, fresh)
    tracks.update((track.id, track) for track in state.spared.note(state.book, spill=spill))
    job.streams = [track.figures(fresh.get(number, 0)) for number, track in tracks.items()]
    job.declared += made.told
    state.declared = []
    state.committing = len(gaps) + len(batches)
    return made


def spare(state: OutboxState, now: float) -> bool:
    """Hand what waits to the live lane from memory, where that is allowed; False where the disk is due."""
    if state.doomed or state.refused or state.memo.dirty:
        return False
    taken = state.spared.take(state.ring, state.lanes, now)
    for waiting in taken:
        state.last_row += 1
        waiting.row = state.last_row
        waiting.track.ts = max(waiting.track.ts, waiting.ts)
        state.spared.add(waiting, now)
        waiting.track.pending -= 1
        waiting.track.committed = max(waiting.track.committed, waiting.seq)
        waiting.track.stream.readings += waiting.readings
        waiting.track.settle()
    _deliver(state, taken)
    return bool(taken)


def _grow(state: OutboxState, made: PlannedCommit, waiting: Waiting) -> bool:
    gap = waiting.content
    if not isinstance(gap, Gap):
        return False
    known = state.open_gaps.get(key_of(gap))
    one = merged(known.gap, gap) if known is not None else None
    if known is None or one is None or any(growth.known is known for growth in made.growths):
        return False
    packed = pack_gap(one)
    live = []
    if state.lanes is not None and known.row in state.lanes.live:
        live = state.lanes.withdraw([known.row])
    made.growths.append(Growth(known, one, len(packed), waiting, live))
    made.job.updates.append((packed, len(packed), known.row))
    made.job.declared += _declared(known.track.id, one)
    return True


def _insert(
    state: OutboxState, made: PlannedCommit, ones: list[Waiting], tracks: dict[int, Track], fresh: dict[int, int]
) -> None:
    job, row = made.job, state.last_row
    for waiting in ones:
        track, seq, ts = waiting.track, waiting.seq, waiting.ts
        hold: int | None
        if not track.id and not state.book.in_file(track):
            job.new_streams.append((track.id, track.stream.epoch, track.stream.device))
        number, hold, last = track.id, seq, seq
        if isinstance(waiting.content, Gap):
            hold, last = _gap(job, waiting, waiting.content)
        row += 1
        waiting.row = row
        packed, readings = waiting.packed, waiting.readings
        job.inserts.append((row, number, hold, seq, ts, len(packed), readings, packed))
        if last >= track.next:
            track.next = last + 1
        if ts > track.ts and (seq or not track.ts):
            track.ts = ts
        tracks[number] = track
        fresh[number] = fresh.get(number, 0) + readings
    state.last_row = row
    made.inserted += ones


def _gap(job: Job, waiting: Waiting, gap: Gap) -> tuple[int | None, int]:
    """Pack a gap, which grows no more in memory: the number it holds, and the last one it excuses."""
    waiting.packed = pack_gap(gap)
    hold = hold_of(gap)
    job.declared += _declared(waiting.track.id, gap)
    return hold, (gap.to_seq or 0) if hold is not None and gap.kind != "lost" else 0


def _declared(stream: int, gap: Gap) -> list[tuple[int, int, int]]:
    numbers = declares(gap)
    return [] if numbers is None else [(stream, *numbers)]


def undone(state: OutboxState, made: PlannedCommit) -> None:
    """Nothing of it is on disk."""
    state.committing = 0
    state.spared.kept(state.acked)
    for waiting in made.gaps:
        waiting.packed = b""
    for number, _, _ in made.job.new_streams:
        state.book.withdraw(number)
    state.ring.put_back(made.gaps, made.batches)
    state.memo.put_back(made.job.memo)
    state.declared[:0] = made.told
    state.last_row = made.first_row
    for growth in made.growths:
        _back_to_live(state, made, growth)


def applied(state: OutboxState, made: PlannedCommit, committed: Committed) -> None:
    """All of it is on disk."""
    job = made.job
    state.committing = 0
    lows = {low.id: low for low in committed.lows}
    gone = {row for _, _, row in job.quarantined}
    unasked: dict[int, Track] = {}
    for waiting in state.spared.spilled():
        _spilled(state, waiting, lows, unasked, gone=waiting.row in gone)
    for row in job.acked:
        state.acked.pop(row, None)
    for row in job.dropped:
        state.doomed.pop(row, None)
    for _, _, row in job.quarantined:
        state.refused.pop(row, None)
    state.again.settled(job)
    state.quarantined += len(job.again_refused)
    for growth in made.growths:
        _grown(state, made, growth)
    _inserted(state, made.inserted, lows, unasked)
    _deliver(state, made.inserted)
    for low in committed.lows:
        state.book.settle(low)
    for track in unasked.values():
        track.settle()
    state.oldest = committed.oldest
    state.filled(committed.pages, committed.vacant)
    if made.inserted or job.spilled:
        state.last_committed = state.last_row


def _inserted(state: OutboxState, ones: Sequence[Waiting], asked: Container[int], unasked: dict[int, Track]) -> None:
    for waiting in ones:
        track, hold, content = waiting.track, waiting.seq, waiting.content
        track.pending -= 1
        state.written += len(waiting.packed)
        if isinstance(content, Gap):
            state.bytes += len(waiting.packed)
            state.open_gaps[key_of(content)] = OpenGap(waiting.row, content, len(waiting.packed), track)
        else:
            track.stream.readings += waiting.readings
            track.committed = max(track.committed, hold)
            if waiting.offset is not None:
                state.unset.add(waiting.row, waiting.offset)
        if track.id not in asked:
            track.holds(hold_of(content) if isinstance(content, Gap) else hold)
            unasked[track.id] = track


def _spilled(
    state: OutboxState, waiting: Waiting, asked: Container[int], unasked: dict[int, Track], *, gone: bool
) -> None:
    track = waiting.track
    state.written += len(waiting.packed)
    if gone:
        return
    if track.id not in asked:
        track.holds(waiting.seq)
        unasked[track.id] = track
    if state.lanes is not None and waiting.session != state.lanes.session:
        state.late -= 1
        state.lanes.to_backlog(waiting.row)


def _deliver(state: OutboxState, ones: Sequence[Waiting]) -> None:
    """They are on disk, or need not go there: to the lanes of the session."""
    lanes = state.lanes
    if lanes is None:
        return
    live = []
    for waiting in ones:
        content, late = waiting.content, waiting.session != lanes.session
        if late:
            state.late -= 1
        if late or (isinstance(content, Batch) and content.backfill):  # never live (docs/decisions/006)
            lanes.to_backlog(waiting.row)
        else:
            track, size = waiting.track, len(waiting.packed)
            live.append(Record(waiting.row, track.stream, waiting.seq, waiting.ts, content, size=size))
    lanes.arrived(live)


def _grown(state: OutboxState, made: PlannedCommit, growth: Growth) -> None:
    known, waiting = growth.known, growth.waiting
    state.bytes += growth.size - known.size
    state.written += growth.size
    state.records -= 1
    if state.lanes is not None and waiting.session != state.lanes.session:
        state.late -= 1
    waiting.track.pending -= 1
    known.gap, known.size = growth.gap, growth.size
    for record in growth.live:
        record.content, record.size = growth.gap, growth.size
    waiting.track.settle()
    _back_to_live(state, made, growth)


def _back_to_live(state: OutboxState, made: PlannedCommit, growth: Growth) -> None:
    if growth.live and state.lanes is not None and state.lanes is made.lanes:
        state.lanes.restore([growth.known.row], growth.live)
