"""`edge-agent outbox`: what an operator sees and does, beside a running agent and without one."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from agent.core.errors import PermanentError
from agent.outbox import SqliteOutbox
from agent.outbox.operator.client import inquire
from agent.outbox.operator.protocol import OutboxQuestion, Which
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import again, backlog, batch, gaps, live, numbers

TS = 1_763_760_000_000


def make(path, **settings):
    policy = OutboxSettings.model_validate({"min_free_disk": "0B", "keep_acked": {}, **settings})
    return SqliteOutbox(path, name="plant", settings=policy, clock=ManualClock(TS))


async def deliver(outbox, count, *, refuse=()):
    """Append, hand out, acknowledge; numbers in `refuse` go to quarantine."""
    with outbox.reader() as reader:
        for number in range(count):
            outbox.append(batch(number=number))
        records = await live(reader, count)
        for record in records:
            if record.seq in refuse:
                reader.reject(record, "too large")
            else:
                reader.ack(record)
        await outbox.flush()
    return records


async def asked(where, verb, **which):
    """A running outbox as the agent's socket hands it on; by its path, without an agent, the file itself."""
    question = OutboxQuestion(verb, Which(**which))
    if isinstance(where, SqliteOutbox):
        return await where.answer(question)
    return await asyncio.to_thread(inquire, where, question)


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "outbox"
    folder.mkdir(parents=True)
    return folder / "plant.sqlite"


@pytest.mark.parametrize("running", [True, False])
async def test_list_says_what_waits_and_what_is_kept(path, running):
    """Per device and epoch: records, readings, bytes, numbers and times; beside a running agent or without one."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 3, refuse=[2])
        for _ in range(2):
            outbox.append(batch("cnc-07", readings=5))
        answer = await asked(outbox, "list")
    if not running:
        answer = await asked(path, "list")
    listing = answer.listing
    (waiting,), (aside,), (kept,) = listing.waiting, listing.quarantined, listing.kept
    assert (waiting.device, waiting.records, waiting.readings, waiting.first, waiting.last) == ("cnc-07", 2, 10, 1, 2)
    assert (waiting.epoch, waiting.from_ts, waiting.to_ts) == (listing.epoch, TS, TS)
    assert waiting.bytes > 50
    assert (aside.device, aside.records, aside.first) == ("press-01", 1, 2)
    assert (kept.device, kept.records, kept.first, kept.last) == ("press-01", 2, 1, 3)
    assert listing.declarations == 1  # the quarantined record's


async def test_resent_records_are_historical_and_keep_number_and_content(path):
    """Handed out in the session that is on, beside its lanes; `low` does not go back, and they are kept on."""
    outbox = make(path)
    async with outbox.open():
        sent = await deliver(outbox, 5)
        with outbox.reader() as reader:
            answer = await asked(outbox, "resend", device="press-*", first=2, last=4)
            assert (answer.done.records, answer.done.readings) == (3, 6)
            assert (outbox.stats.records, outbox.stats.again) == (0, 3)
            outbox.append(batch(number=5))
            (record,) = await live(reader, 1)
            assert (record.seq, record.historical, record.resent) == (6, False, False)
            records = await again(reader, 3)
            assert numbers(records) == [("press-01", 2), ("press-01", 3), ("press-01", 4)]
            assert all(record.historical and record.resent for record in records)
            assert [record.content for record in records] == [record.content for record in sent[1:4]]
            assert [record.ts for record in records] == [record.ts for record in sent[1:4]]
            assert outbox.streams()[0].low == 6
            for one in [*records, record]:
                reader.ack(one)
            await outbox.flush()
        assert (outbox.stats.records, outbox.stats.bytes, outbox.stats.again) == (0, 0, 0)
        (kept,) = (await asked(outbox, "list")).listing.kept
        assert (kept.first, kept.last, kept.records) == (1, 6, 6)


async def test_what_is_to_be_sent_again_waits_over_sessions_and_runs(path):
    """Unacknowledged at the end of a session it is handed out in the next one; ordered without an agent likewise."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 3)
        with outbox.reader() as reader:
            await asked(outbox, "resend", first=1, last=2)
            first, second = await again(reader, 2)
            reader.ack(first)
        with outbox.reader() as reader:
            (record,) = await again(reader, 1)
            assert (record.seq, reader.behind) == (second.seq, False)
            reader.retry(record)
            assert numbers(await again(reader, 1)) == [("press-01", 2)]
    assert (await asked(path, "resend", last=1)).done.records == 1
    assert [heap.records for heap in (await asked(path, "list")).listing.again] == [2]
    outbox = make(path)
    async with outbox.open():
        assert outbox.stats.again == 2
        with outbox.reader() as reader:
            assert numbers(await again(reader, 2)) == [("press-01", 2), ("press-01", 1)]


async def test_one_order_after_the_other_is_handed_out(path):
    """Also when the queue was empty in between."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 3)
        with outbox.reader() as reader:
            for number in (3, 1, 2, 2):
                await asked(outbox, "resend", first=number, last=number)
                (record,) = await again(reader, 1)
                assert record.seq == number
                reader.ack(record)
                await outbox.flush()


async def test_what_is_sent_again_neither_expires_nor_counts(path):
    """However small `keep_acked` and `max_bytes` are: it was kept, and is on its way."""
    outbox = make(path, keep_acked={"age": "1s", "max_bytes": "1B"}, max_bytes="1KiB")
    clock = outbox._clock
    async with outbox.open():
        await deliver(outbox, 3)
        await asked(outbox, "resend", first=1)
        for number in range(50):
            outbox.append(batch(number=number))
            await clock.advance(10)
            await outbox.flush()
        assert outbox.stats.dropped_records > 20
        with outbox.reader() as reader:
            assert numbers(await again(reader, 3)) == [("press-01", 1), ("press-01", 2), ("press-01", 3)]


async def test_what_is_refused_when_sent_again_goes_to_quarantine(path):
    """And is declared; `low` stays where it is, because it was answered for once."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 2)
        with outbox.reader() as reader:
            await asked(outbox, "resend", last=1)
            (record,) = await again(reader, 1)
            reader.reject(record, "too large")
            await outbox.flush()
            (gap,) = gaps(await live(reader, 1))
            assert (gap.kind, gap.from_seq, gap.to_seq) == ("quarantined", 1, 1)
            assert outbox.streams()[0].low == 3
        assert (outbox.stats.quarantined, outbox.stats.again) == (1, 0)
        assert [one.reason for one in (await asked(outbox, "quarantined")).quarantined] == ["too large"]


async def test_records_of_earlier_runs_are_sent_again_under_their_own_epoch(path):
    """A stream that has nothing left but kept records is not forgotten, nor is its id given to another."""
    outbox = make(path)
    epochs = []
    for _ in range(3):
        async with outbox.open():
            with outbox.reader() as reader:
                for record in await backlog(reader):
                    reader.ack(record)
            epochs.append((await deliver(outbox, 2))[0].stream.epoch)
        outbox = make(path)
    assert {heap.epoch for heap in (await asked(path, "list")).listing.kept} == set(epochs)
    assert (await asked(path, "resend", epoch=epochs[0])).done.records == 2
    async with outbox.open():
        assert (await asked(outbox, "resend", epoch=epochs[1], first=2)).done.records == 1
        with outbox.reader() as reader:
            records = await again(reader, 3)
        outbox.append(batch())
        assert [stream.epoch for stream in outbox.streams()][-1] == outbox.streams()[-1].epoch != epochs[0]
    assert [(record.stream.epoch, record.seq) for record in records] == [
        (epochs[0], 1), (epochs[0], 2), (epochs[1], 2),
    ]  # fmt: skip


@pytest.mark.parametrize("running", [True, False])
async def test_quarantined_records_are_shown_requeued_and_discarded(path, running):
    """By id; what is requeued goes out with its own number, what is discarded is gone."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 4, refuse=[1, 3, 4])
        if running:
            shown, counts = await handle(outbox), outbox.stats.quarantined
    if not running:
        shown, counts = await handle(path), None
    assert [(one.seq, one.reason, one.readings) for one in shown] == [(n, "too large", 2) for n in (1, 3, 4)]
    assert counts in (None, 1)
    outbox = make(path)
    async with outbox.open():
        assert outbox.stats.quarantined == 1
        with outbox.reader() as reader:
            records = await again(reader, 1)
    assert numbers(records) == [("press-01", 3)]


async def handle(where):
    """Requeue the second, discard the first."""
    shown = (await asked(where, "quarantined")).quarantined
    assert (await asked(where, "requeue", ids=(shown[1].id,))).done.records == 1
    assert (await asked(where, "discard", ids=(shown[0].id, 99_999))).done.records == 1
    assert [one.seq for one in (await asked(where, "quarantined")).quarantined] == [4]
    return shown


async def test_choices_narrow(path):
    """Device, time and numbers all have to fit."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 3)
    for which in ({"device": "cnc-*"}, {"since": TS + 1}, {"until": TS - 1}, {"epoch": "none"}, {"first": 4}):
        assert (await asked(path, "resend", **which)).done.records == 0
    assert (await asked(path, "resend", since=TS, until=TS, last=1)).done.records == 1


async def test_what_cannot_be_asked_says_why(path):
    """No file, a file in use by an agent that does not answer for it, a file that is none."""
    with pytest.raises(PermanentError, match="there is no outbox"):
        await asked(path, "list")
    outbox = make(path)
    async with outbox.open():
        with pytest.raises(PermanentError, match="in use by another process"):
            await asked(path, "list")
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(PermanentError, match="cannot be used"):
        await asked(path, "list")


async def test_an_outbox_in_memory_can_be_asked_too(path):
    """`durability: memory` answers as well."""
    outbox = make(path, durability="memory")
    async with outbox.open():
        await deliver(outbox, 2)
        assert (await asked(outbox, "resend", first=2)).done.records == 1
        assert outbox.stats.again == 1


async def test_a_command_leaves_the_run_as_it_was(path):
    """What a start has to know of the last run is not touched by it."""
    outbox = make(path)
    async with outbox.open():
        await deliver(outbox, 1)
    with sqlite3.connect(path) as db:
        before = db.execute("SELECT * FROM meta").fetchall()
    await asked(path, "resend", first=1)
    with sqlite3.connect(path) as again:
        assert again.execute("SELECT * FROM meta").fetchall() == before
    db.close()
    again.close()
