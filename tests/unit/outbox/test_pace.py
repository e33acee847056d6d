"""The commit pace: at once while little comes, together where records come thick, and never later than that."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.core.clock import SystemClock
from agent.outbox import SqliteOutbox
from agent.outbox.gathering import Gathering
from agent.outbox.pace import GATHER, MOMENT, PACE, QUIET, THICK, CommitPace
from agent.settings.outbox import OutboxSettings
from agent.testing.records import backlog, batch, live
from tests.support.outbox_file import contents
from tests.support.waiting import eventually


def transactions(arrivals: list[float], *, takes: float = 0.002) -> tuple[list[float], list[float]]:
    """When transactions begin that take so long each, and how long each record waited for its own."""
    pace, begun, waits = CommitPace(), [], []
    left, waiting, free = list(arrivals), list[float](), 0.0
    while left or waiting:
        if not waiting:
            waiting.append(left.pop(0))
            pace.appended(waiting[-1])
        now = max(free, waiting[-1])
        while True:
            while left and left[0] <= now:
                waiting.append(left.pop(0))
                pace.appended(waiting[-1])
            if (rest := pace.rest(now)) <= 1e-9:
                break
            now += min(rest, left[0] - now if left else rest)
        pace.begins(now)
        begun.append(now)
        waits += [now - at for at in waiting]
        waiting, free = [], now + takes
    return begun, waits


def test_a_record_that_comes_alone_is_committed_at_once():
    """Ten a second, as ten devices send, and one after a long silence."""
    begun, waits = transactions([at / 10 for at in range(50)] + [100.0])
    assert len(begun) == 51
    assert max(waits) == pytest.approx(0.0)


def test_records_that_come_thick_share_transactions():
    """A hundred a second: twenty transactions instead of a hundred, and none of them waits longer than the bound."""
    begun, waits = transactions([at / 100 for at in range(1000)])
    assert len([at for at in begun if at >= 1.0]) <= 9 / GATHER + 1
    assert max(waits) <= GATHER + 1e-6


def test_devices_that_tick_together_wait_for_each_other_only():
    """Five answers every 50 ms, a millisecond apart: one transaction right behind the last of them."""
    arrivals = [slot * 0.05 + answer / 1000 for slot in range(100) for answer in range(5)]
    begun, waits = transactions(arrivals)
    assert len([at for at in begun if at >= 1.0]) == pytest.approx(80, abs=2)
    assert max(waits[-400:]) < 0.004 + 3 * QUIET


def test_few_devices_that_tick_together_share_transactions_once_that_is_known():
    """Five answers twice a second: only the first of all is not waited for."""
    arrivals = [slot / 2 + answer / 1000 for slot in range(20) for answer in range(5)]
    begun, waits = transactions(arrivals)
    assert len(begun) == 21
    assert waits[0] == 0
    assert max(waits[1:]) == pytest.approx(0.004 + MOMENT)


def test_who_comes_alone_again_waits_once():
    """Five answers together, then one device is left."""
    arrivals = [slot / 2 + answer / 1000 for slot in range(4) for answer in range(5)] + [2.0, 2.5, 3.0]
    _, waits = transactions(arrivals)
    assert waits[-3:] == pytest.approx([MOMENT, 0, 0])


def test_two_records_of_one_scan_are_no_reason_to_wait():
    """They come at one instant, and nothing follows them."""
    _, waits = transactions([at for scan in range(20) for at in (scan / 2, scan / 2)])
    assert max(waits) == 0


def test_when_they_come_thin_again_nobody_waits_any_more():
    """A second of thick records, then one: two seconds later it is committed at once."""
    pace = CommitPace()
    for at in range(200):
        pace.begins(at / 200)
        pace.appended(at / 200)
    assert pace.rest(0.995) > 0
    pace.begins(1.0)
    pace.appended(3.0)
    assert pace.rest(3.0) == 0


def test_a_single_burst_is_gathered_but_not_for_long():
    """So many at one instant as would be thick over a second."""
    pace = CommitPace()
    for _ in range(int(THICK) + 1):
        pace.appended(10.0)
    assert pace.rest(10.0) == pytest.approx(QUIET)
    assert pace.rest(10.0 + QUIET) == pytest.approx(0)


def test_a_stream_that_never_pauses_does_not_put_a_transaction_off():
    """A record every millisecond: the first of them still waits for no longer than the bound."""
    _, waits = transactions([at / 1000 for at in range(3000)], takes=0.0)
    assert max(waits) <= GATHER + 1e-6


async def test_no_record_waits_behind_a_transaction_that_only_notes_acknowledgements(tmp_path, monkeypatch):
    """They travel on a beat that devices are read on, too: each record would wait out the pause of `fsync`."""
    path = tmp_path / "plant.sqlite"

    def make() -> SqliteOutbox:
        settings = OutboxSettings.model_validate({"durability": "fsync", "min_free_disk": "0B"})
        return SqliteOutbox(path, name="plant", settings=settings, clock=SystemClock())

    outbox = make()
    async with outbox.open():
        for number in range(3):
            outbox.append(batch(number=number))
        await outbox.flush()
    monkeypatch.setitem(PACE, "fsync", 3600.0)
    outbox = make()
    async with outbox.open():
        with outbox.reader() as reader:
            first, *others = await backlog(reader)
            left = len(contents(path).records)
            reader.ack(first)
            await eventually(lambda: len(contents(path).records) < left)
            for record in others:
                reader.ack(record)
            await eventually(lambda: not contents(path).records)
            outbox.append(batch(number=9))
            await live(reader, 1)


@pytest.mark.parametrize(("ended", "until"), [(0.008, 0.54), (0.02, 0.54), (0.08, 0.54), (0.1, 1.04)])
async def test_acknowledgements_wait_past_the_instant_at_which_devices_are_read(monkeypatch, ended, until):
    """What is read then takes them along. Nothing has come; the wait is over a moment after a beat, within a second."""
    waited = []

    async def rest(_: Gathering, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(Gathering, "_rest", rest)
    monkeypatch.setattr("agent.outbox.gathering.time", SimpleNamespace(monotonic=lambda: 100 + ended))
    await Gathering().over(0.0)
    assert waited == [pytest.approx(until - ended)]
    assert waited[0] < 1
