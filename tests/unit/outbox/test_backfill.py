from __future__ import annotations

from pathlib import Path

from agent.core.flow import Batch, Reading
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock

TS = 1_763_760_000_000


def made(value: int, *, backfill: bool = False, readings: int = 1) -> Batch:
    said = [Reading(tag="t", value=value, ts=TS, quality="good") for _ in range(readings)]
    return Batch(device="d", ts=TS, readings=said, backfill=backfill)


async def test_what_comes_out_of_a_history_is_never_live(tmp_path: Path) -> None:
    """It takes the next numbers of its stream, cut where it is large, and goes the way of the backlog at once."""
    policy = OutboxSettings.model_validate({"min_free_disk": "0B"})
    outbox = SqliteOutbox(tmp_path / "route.sqlite", name="route", settings=policy, clock=ManualClock(TS))
    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(made(1))
            outbox.append(made(2, backfill=True, readings=1500))
            outbox.append(made(3))
            await outbox.flush()
            live = list(await reader.live(10))
            while len(live) < 2:
                live += await reader.live(10)
            past = list(await reader.backlog(10))
            while len(past) < 2:
                past += await reader.backlog(10)
            assert [(record.seq, record.historical) for record in live] == [(1, False), (4, False)]
            assert [(record.seq, record.historical) for record in past] == [(2, True), (3, True)]
            assert reader.backlog_left == 0
            for record in [*live, *past]:
                reader.ack(record)
        await outbox.flush()
        assert outbox.stats.records == 0
