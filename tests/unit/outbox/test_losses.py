"""When a loss is told, and how: pure, and through a real outbox that is too small."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agent.core.ports import Lost
from agent.outbox import SqliteOutbox
from agent.outbox.losses import EVERY, QUIET, LossCounter
from agent.outbox.report import OutboxReport
from agent.outbox.state import OutboxState
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import TS, backlog, batch, gaps
from tests.support.waiting import eventually


def told(losses, now, filled=1.0, **how):
    """(device, records, over) of each."""
    return [(one.device, one.lost.records, one.over) for one in losses.news(now, filled=filled, **how)]


def test_a_full_outbox_is_told_at_once_each_minute_and_at_the_end():
    """The totals since it began; giving up a little room is not its end, and a minute without a loss is no line."""
    losses = LossCounter()
    losses.add("dropped", "press-01", TS, 10, 0.0)
    assert told(losses, 0.0) == [("press-01", 1, False)]
    for second in range(1, 60):
        losses.add("dropped", "press-01", TS + second, 10, float(second))
        assert told(losses, second, filled=0.99) == []
    assert told(losses, EVERY) == [("press-01", 60, False)]
    assert told(losses, 3 * EVERY) == []
    (news,) = losses.news(3 * EVERY, filled=0.5)
    assert (news.over, news.lost) == (True, Lost(60, 600, TS, TS + 59))
    assert losses.news(3 * EVERY, filled=1.0) == []
    assert losses.total == Lost(60, 600, TS, TS + 59)
    assert told(losses, 4 * EVERY) == []


def test_what_is_no_matter_of_room_is_over_when_it_is_quiet():
    """Age and memory; each cause has its own episode."""
    losses = LossCounter()
    losses.add("expired", "a", TS, 1, 0.0)
    losses.add("overflow", "a", TS, 1, 30.0)
    losses.add("overflow", "b", TS, 1, 30.0)
    assert told(losses, 30.0, filled=0.1) == [("a", 1, False), (None, 2, False)]
    assert told(losses, QUIET, filled=0.1) == [("a", 1, True)]
    assert told(losses, 30.0 + QUIET, filled=0.1) == [("a", 1, True), ("b", 1, True)]


def test_many_devices_are_told_by_their_losses():
    """Those that lost most one by one, the rest as a sum; at the end nothing is kept back."""
    losses = LossCounter()
    for number in range(15):
        for _ in range(number + 1):
            losses.add("dropped", f"d{number:02d}", TS, 1, 0.0)
    assert told(losses, 0.0) == [(None, 120, False)]
    lines = told(losses, 1.0, closing=True)
    assert lines[:2] == [("d14", 15, True), ("d13", 14, True)]
    assert lines[9:] == [(None, 1 + 2 + 3 + 4 + 5 + 6, True)]


def test_quarantine_is_no_loss():
    """What is there can still be sent."""
    losses = LossCounter()
    losses.add("quarantined", "a", TS, 1, 0.0)
    losses.add("lost", "a", TS, 1, 0.0)
    assert told(losses, 0.0) == []
    assert losses.total.records == 1
    assert losses.by_kind == {"quarantined": 1, "lost": 1}


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("a", "1 record of a from"),
        ("ab", "3 records of b and a from"),
        ("abc", "6 records of c, b and a from"),
        ("abcde", "15 records of e, d, c and 2 more from"),
    ],
)
def test_a_line_about_several_devices_names_those_that_lost_most(devices, words):
    """The operator learns from the first line whose records went."""
    state = OutboxState(OutboxSettings(), ManualClock(TS))
    for place, device in enumerate(devices):
        for _ in range(place + 1):
            state.losses.add("overflow", device, TS, 1, state.clock.monotonic())
    with capture_logs() as logs:
        OutboxReport("plant", None).losses(state)
    (line,) = logs
    assert line["event"] == "outbox.overflow"
    assert line["reason"].startswith(words)


async def test_the_log_tells_what_the_gaps_declare(tmp_path):
    """Device, span and bound in the first line, and exactly what was declared in the last one."""
    clock = ManualClock(TS)
    settings = OutboxSettings.model_validate({"max_bytes": "64KiB", "min_free_disk": "0B"})
    outbox = SqliteOutbox(tmp_path / "plant.sqlite", name="plant", settings=settings, clock=clock)
    with capture_logs() as logs:
        async with outbox.open():
            for number in range(100):
                outbox.append(batch(number=number, readings=60))
                clock.step_wall(1)
                await outbox.flush()
            assert outbox.stats.full
            assert outbox.stats.limit == 64 << 10
            assert outbox.stats.lost.records == outbox.stats.dropped_records > 10
            with outbox.reader() as reader:
                records = await backlog(reader)
                for record in records:
                    reader.ack(record)
            await eventually(lambda: not outbox.stats.full)
            lost = outbox.stats.lost
    (gap,) = gaps(records)
    assert (gap.records, gap.readings, gap.from_ts, gap.to_ts) == (
        lost.records, lost.readings, lost.from_ts, lost.to_ts,
    )  # fmt: skip
    first, last = (line for line in logs if line["event"] in {"outbox.dropped", "outbox.loss_over"})
    assert (first["log_level"], first["device"], first["bound"]) == ("error", "press-01", "64 KiB")
    assert (first["from"], first["event"]) == ("2025-11-21T21:20:00Z", "outbox.dropped")
    assert (last["records"], last["readings"], last["event"]) == (gap.records, gap.readings, "outbox.loss_over")
    expected = f"{gap.records} records of press-01 from 2025-11-21T21:20:00Z to {last['to']} lost, outbox full at"
    assert last["reason"] == f"{expected} 64 KiB"
