"""What a start declares about the time before it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agent.core.flow import Gap
from agent.core.ids import ulid
from agent.outbox.file.schema import Durability
from agent.outbox.file.transaction import Opened, StoredStream
from agent.outbox.spared import NOTE
from agent.outbox.streams import REMEMBERED, REMEMBERED_MS

_BEHIND = round(NOTE * 1000)


def declarations(
    opened: Opened, durability: Durability, started_ms: int, *, spared: bool = False
) -> list[tuple[StoredStream, Gap]]:
    """The gaps to be said, each with the stream it is about.

    Every stream of the previous run was down from its last commit until now. Where that run did not end itself and the
    machine has started since, commits that were still on their way to the disk are lost with it (unless durability is
    `fsync`); where the file was damaged, so may be anything. A clock that went back makes no gap end before it began.
    """
    result = []
    for stream in opened.streams:
        if stream.epoch != opened.previous_epoch:
            continue
        until = max(started_ms, stream.ts)
        since = stream.ts or until
        last = stream.next - 1
        gap = partial(Gap, device=stream.device, epoch=stream.epoch, from_ts=since, to_ts=until)
        result.append(
            (
                stream,
                gap(
                    id=ulid(started_ms),
                    kind="down",
                    reason="agent stopped" if opened.clean else "agent ended without saying so",
                    to_seq=last or None,
                ),
            )
        )
        power = not opened.clean and not opened.same_boot and durability == "commit"
        power = power or (spared and not opened.clean)
        if power or opened.damage is not None:
            result.append(
                (
                    stream,
                    gap(
                        id=ulid(started_ms),
                        kind="lost",
                        reason=_reason(opened) if opened.damage is None else f"outbox file damaged: {opened.damage}",
                        # Damage may have hit any number; power only what came after the last one on disk.
                        from_seq=stream.next if opened.damage is None else 1,
                        to_seq=None if opened.damage is None else last or None,
                    ),
                )
            )
    return result


def recorded(opened: Opened, durability: Durability, *, spared: bool = False) -> dict[str, int]:
    """By device, when earlier runs appended their last record; no record that left them is younger.

    Where the file may be behind what was sent (`disk: on_outage` writes numbers down once a minute, a power cut takes
    what the kernel had not written yet), that minute is added. A damaged file tells nothing.
    """
    if opened.damage is not None:
        return {}
    behind = not opened.clean and (spared or (durability == "commit" and not opened.same_boot))
    last: dict[str, int] = {}
    for stream in opened.streams:
        if stream.ts:
            last[stream.device] = max(last.get(stream.device, 0), stream.ts + _BEHIND * behind)
    return last


def _reason(opened: Opened) -> str:
    return "power lost" if not opened.same_boot else "ended while records were in memory only"


def over(
    streams: Sequence[StoredStream], held: set[int], previous_epoch: str | None, now_ms: int, present: str
) -> list[int]:
    """Streams nobody asks for any more: old, with no rows (whose streams are `held`), and nothing to declare."""
    by_device: dict[str, int] = {}
    result = []
    for stream in sorted(streams, key=lambda one: -one.id):
        newer = by_device[stream.device] = by_device.get(stream.device, 0) + (stream.epoch != present)
        remembered = stream.next > 1 and newer <= REMEMBERED and now_ms - stream.ts <= REMEMBERED_MS
        if stream.id not in held and stream.epoch != previous_epoch and not remembered:
            result.append(stream.id)
    return result
