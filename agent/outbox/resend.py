"""A consumer asks for records: what is kept is queued to be sent once more, what is not is declared lost, exactly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agent.core.flow import Gap, ResendRequest
from agent.core.ids import time_of, ulid
from agent.core.ports import Resent
from agent.outbox.file import again
from agent.outbox.state import OutboxState
from agent.outbox.streams import Track
from agent.outbox.writer import OutboxWriter

#: Why it cannot be sent any more.
REASON = "not kept: acknowledged by the broker longer ago than keep_acked covers"


async def resend(
    state: OutboxState, writer: OutboxWriter, request: ResendRequest, notify: Callable[[], None]
) -> Resent | None:
    """See `agent.core.ports.Outbox.resend`."""
    await writer.flush()  # what is acknowledged is then among the kept, and what was declared is known
    async with writer.lock:
        track = state.book.find(request.device, request.epoch)
        if track is None:
            return None
        first, last = request.from_seq, min(request.to_seq, track.stream.low - 1)
        if first > last:
            return Resent()
        found = await writer.call(
            partial(again.request, stream=track.id, first=first, last=last, declares_again=request.insists)
        )
        highest = await writer.call(again.highest)
        state.again.added(found.again, highest)
        for missing in found.missing:
            state.declare(track, _lost(track, missing, request, state.clock.now_ms()))
    notify()
    await writer.flush()
    return Resent(found.again, sum(missing.last - missing.first + 1 for missing in found.missing))


def _lost(track: Track, missing: again.Missing, request: ResendRequest, now_ms: int) -> Gap:
    stream = track.stream
    since = time_of(stream.epoch) if missing.from_ts is None else missing.from_ts
    until = track.ts if missing.to_ts is None else missing.to_ts
    return Gap(
        id=ulid(now_ms), kind="lost", device=stream.device, epoch=stream.epoch, from_seq=missing.first,
        to_seq=missing.last, from_ts=min(since, until), to_ts=until, records=missing.last - missing.first + 1,
        reason=REASON, request=request.id, late=True,
    )  # fmt: skip
