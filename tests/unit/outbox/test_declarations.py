from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from agent.core.flow import Gap
from agent.outbox import SqliteOutbox
from agent.outbox.declarations import recorded
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.transaction import Opened, StoredStream
from agent.outbox.operator.queries import expire_acked, trim_acked
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import backlog, batch, gaps, live, numbers

TS = 1_763_760_000_000


@pytest.fixture
def clock():
    return ManualClock(TS)


@pytest.fixture
def make(tmp_path, clock):
    def make(folder="", boot="same", **settings):
        policy = OutboxSettings.model_validate({"min_free_disk": "0B", **settings})
        path = tmp_path / folder / "route.sqlite"
        return SqliteOutbox(path, name="route", settings=policy, clock=clock, boot=lambda: boot)

    return make


async def run(outbox, *batches, ack=True):
    """One run of an agent; returns its epoch."""
    async with outbox.open():
        with outbox.reader() as reader:
            for one in batches:
                outbox.append(one)
            if batches:
                for record in await live(reader, len(batches)):
                    if ack:
                        reader.ack(record)
        await outbox.flush()
        return outbox._state.book.epoch


async def declared(outbox):
    async with outbox.open():
        with outbox.reader() as reader:
            records = await backlog(reader)
            for record in records:
                reader.ack(record)
            await outbox.flush()
            return records


async def test_a_first_start_has_nothing_to_declare(make):
    """Without a run before there is no gap."""
    assert await declared(make()) == []


async def test_a_start_declares_the_time_before_it(make, clock):
    """Per stream: down since its last commit, up to its last number, also when everything had been delivered."""
    epoch = await run(make(), batch("a"), batch("a"), batch("b"))
    await clock.advance(60)
    records = await declared(make())
    assert [(gap.kind, gap.device, gap.epoch, gap.from_seq, gap.to_seq) for gap in gaps(records)] == [
        ("down", "a", epoch, None, 2),
        ("down", "b", epoch, None, 1),
    ]
    assert {(gap.from_ts, gap.to_ts) for gap in gaps(records)} == {(TS, TS + 60_000)}
    assert {gap.reason for gap in gaps(records)} == {"agent stopped"}
    assert all(record.historical and record.stream.epoch == epoch for record in records)


async def test_what_waited_comes_before_its_declaration(make):
    """Records of the last run keep their key; the declaration follows them."""
    epoch = await run(make(), batch("a"), batch("a"), ack=False)
    records = await declared(make())
    assert [(record.seq, record.stream.epoch) for record in records] == [(1, epoch), (2, epoch), (0, epoch)]


async def test_an_unacknowledged_declaration_grows(make, clock):
    """Starts that collect nothing make the waiting declaration longer instead of adding one each."""
    epoch = await run(make(), batch("a"))
    for _ in range(3):
        await clock.advance(10)
        await run(make())
    outbox = make()
    (gap,) = gaps(await declared(outbox))
    assert (gap.kind, gap.epoch, gap.to_seq, gap.from_ts, gap.to_ts) == ("down", epoch, 1, TS, TS + 30_000)
    assert outbox.stats.records == outbox.stats.bytes == 0


async def test_a_waiting_declaration_ends_where_the_device_spoke_again(make, clock):
    """Nobody was told of the first time, but the device was read after it: it grows no more, only the newest does."""
    times = []
    for _ in range(2):
        await run(make(), batch("a"), ack=False)
        times.append(clock.now_ms())
        await clock.advance(10)
    await run(make())
    await clock.advance(10)
    found = gaps(await declared(make()))
    assert [(gap.from_ts, gap.to_ts) for gap in found] == [(times[0], times[0] + 10_000), (times[1], times[1] + 20_000)]


async def test_a_clock_that_went_back_makes_no_negative_gap(make, clock):
    """A gateway without a set clock boots at its build date: the gap ends no earlier than it began."""
    await run(make(), batch("a"))
    clock.step_wall(-10 * 365 * 86400)
    (gap,) = gaps(await declared(make()))
    assert gap.from_ts == gap.to_ts == TS


@pytest.mark.parametrize(
    ("durability", "boot", "kinds"),
    [
        ("commit", "same", ["down"]),
        ("commit", "other", ["down", "lost"]),
        ("fsync", "other", ["down"]),
    ],
)
async def test_an_unclean_power_loss_declares_the_tail(make, tmp_path, durability, boot, kinds):
    """Killed on the same boot nothing committed is lost; after another boot, with `commit`, the tail may be."""
    outbox = make(durability=durability)
    async with outbox.open():
        outbox.append(batch("a"))
        await outbox.flush()
        (stream,) = outbox.streams()
        shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    found = gaps(await declared(make("copy", boot, durability=durability)))
    assert [gap.kind for gap in found] == kinds
    assert found[0].reason == "agent ended without saying so"
    for gap in found[1:]:
        assert (gap.epoch, gap.from_seq, gap.to_seq, gap.records) == (stream.epoch, 2, None, None)


async def test_a_restored_copy_never_gives_a_number_twice(make, tmp_path):
    """Runs on copies of one file share what was committed before the copy and nothing after it."""
    await run(make(), batch("a", 1), ack=False)
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    payloads: dict[tuple[str, int], object] = {}
    for folder, number in (("", 2), ("copy", 3)):
        outbox = make(folder)
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(batch("a", number))
                for record in [*await backlog(reader), *await live(reader, 1)]:
                    if record.seq:
                        key = (record.stream.epoch, record.seq)
                        assert payloads.setdefault(key, record.content) == record.content
    assert len(payloads) == 3


async def test_streams_of_the_past_are_forgotten_when_empty(make):
    """Older streams are listed while something of theirs is unacknowledged, and no longer."""
    epoch = await run(make(), batch("a"), ack=False)
    outbox = make()
    async with outbox.open():
        assert [stream.epoch for stream in outbox.streams()] == [epoch]
        with outbox.reader() as reader:
            for record in await backlog(reader):
                reader.ack(record)
            await outbox.flush()
        assert list(outbox.streams()) == []


async def test_notes_survive_a_restart(make):
    """What was put and committed is there in the next run; what was deleted is not."""
    outbox = make()
    async with outbox.open():
        outbox.memo.put("kept", b"1")
        outbox.memo.put("gone", b"2")
        await outbox.flush()
        outbox.memo.put("gone", None)
    outbox = make()
    async with outbox.open():
        assert (outbox.memo.get("kept"), outbox.memo.get("gone")) == (b"1", None)


async def test_one_object_may_run_again(make):
    """A route that is reopened gets a new epoch and keeps its notes object."""
    outbox = make()
    memo = outbox.memo
    first = await run(outbox, batch("a"), ack=False)
    second = await run(outbox, batch("a"), ack=False)
    assert first != second
    assert outbox.memo is memo
    assert len(numbers(await declared(make()))) == 2


async def test_old_records_expire_by_the_clock_that_does_not_jump(make, clock):
    """A step of the wall clock expires nothing; max_age of monotonic time does, and says so."""
    outbox = make(max_age="100s")
    async with outbox.open():
        outbox.append(batch("a"))
        await outbox.flush()
        clock.step_wall(10_000)
        await outbox.flush()
        assert outbox.stats.records == 1
        await clock.advance(2)
        await outbox.flush()
        await clock.advance(60)
        outbox.append(batch("a"))
        await outbox.flush()
        await clock.advance(60)
        await outbox.flush()
        await outbox.flush()
        with outbox.reader() as reader:
            records = await backlog(reader)
    assert numbers(records) == [("a", 2)]
    (gap,) = gaps(records)
    assert (gap.kind, gap.from_seq, gap.to_seq, gap.records) == ("expired", 1, 1, 1)


async def test_records_of_earlier_runs_expire_by_their_age_at_start(make, clock):
    """Only a clock that is set may judge what an earlier run wrote."""
    await run(make(max_age="100s"), batch("a"), ack=False)
    clock.synced = False
    await clock.advance(1000)
    outbox = make(max_age="100s")
    async with outbox.open():
        await outbox.flush()
        assert "expired" not in {gap.kind for gap in await _gaps_now(outbox)}
        clock.synced = True
        await outbox.flush()
        await outbox.flush()
        found = await _gaps_now(outbox)
    assert {gap.kind for gap in found} == {"down", "expired"}


async def _gaps_now(outbox) -> list[Gap]:
    with outbox.reader() as reader:
        return gaps(await backlog(reader))


async def test_acknowledged_records_are_kept_where_wanted(make, tmp_path):
    """keep_acked leaves what the broker has in a table of its own, within its bound."""
    outbox = make(keep_acked={"age": "10m", "max_bytes": "64MiB"})
    await run(outbox, batch("a", 1), batch("a", 2))
    store = OutboxStore(tmp_path / "route.sqlite", "commit")
    store.open(TS)
    assert store.db.execute("SELECT seq FROM acked ORDER BY id").fetchall() == [(1,), (2,)]
    expire_acked(store.db, before_ms=0)
    trim_acked(store.db, max_bytes=100)
    assert store.db.execute("SELECT seq FROM acked ORDER BY id").fetchall() == [(2,)]
    expire_acked(store.db, before_ms=TS + 1)
    assert store.db.execute("SELECT seq FROM acked").fetchall() == []
    store.close(clean=True)


async def test_kept_records_expire_whatever_was_sent_again(make, tmp_path):
    """One that was acknowledged a second time is young, and those around it are not."""
    await run(make(keep_acked={"age": "10m"}), batch("a", 1))
    store = OutboxStore(tmp_path / "route.sqlite", "commit")
    store.open(TS)
    rows = [(n, 1, n, TS, 10, 1, TS if n % 3 == 0 else TS - 100, b"") for n in range(1, 2001)]
    store.db.executemany("INSERT OR REPLACE INTO acked VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    expire_acked(store.db, before_ms=TS - 50)
    assert store.db.execute("SELECT id FROM acked ORDER BY id").fetchall() == [(n,) for n in range(3, 2001, 3)]
    store.close(clean=True)


async def test_a_step_of_the_clock_makes_no_kept_record_older(tmp_path):
    """keep_acked counts its age by the monotonic clock."""
    clock = ManualClock(TS)
    policy = OutboxSettings.model_validate({"min_free_disk": "0B", "keep_acked": {"age": "10m"}})
    outbox = SqliteOutbox(tmp_path / "o.sqlite", name="o", settings=policy, clock=clock)

    def kept() -> int:
        with closing(sqlite3.connect(f"file:{tmp_path}/o.sqlite?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM acked").fetchone()[0])

    async with outbox.open():
        with outbox.reader() as reader:
            outbox.append(batch())
            (record,) = await live(reader, 1)
            reader.ack(record)
            await outbox.flush()
            for step in (3600, -7200, 3600):
                clock.step_wall(step)
                await clock.advance(6)
                await outbox.flush()
                assert kept() == 1
            await clock.advance(600)
            await outbox.flush()
            assert kept() == 0


@pytest.mark.parametrize("restart", [False, True])
async def test_nothing_stays_kept_once_keep_acked_is_turned_off(make, clock, tmp_path, restart):
    """By a reload or a restart: the disk is free again, nobody has to delete a file."""
    kept = make(keep_acked={"age": "10m"})
    off = OutboxSettings.model_validate({"min_free_disk": "0B"})
    async with kept.open():
        with kept.reader() as reader:
            kept.append(batch("a", 1))
            (record,) = await live(reader, 1)
            reader.ack(record)
            await kept.flush()
            if not restart:
                kept.apply(off, max_record_bytes=96 << 10)
                await clock.advance(6)
                kept.append(batch("a", 2))
                await kept.flush()
    if restart:
        await run(make(), batch("a", 2))
    with closing(sqlite3.connect(tmp_path / "route.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM acked").fetchone() == (0,)


async def test_it_is_known_when_something_was_recorded_last(make, clock):
    """Of any run before, by device; what this run appends does not count."""
    first = make()
    await run(first, batch())
    assert first.recorded("press-01") is None
    await clock.advance(60)
    second = make()
    await run(second, batch("mill"))
    await clock.advance(60)
    third = make()
    async with third.open():
        third.append(batch())
        await third.flush()
        assert [third.recorded(name) for name in ("press-01", "mill", "lathe")] == [TS, TS + 60_000, None]


@pytest.mark.parametrize(
    ("settings", "boot", "more"),
    [
        ({}, "same", 0),
        ({}, "another", 60_000),
        ({"durability": "fsync"}, "another", 0),
        ({"disk": "on_outage"}, "same", 60_000),
    ],
)
def test_a_file_that_may_be_behind_says_a_later_time(settings, boot, more):
    """What left us is no younger than it says, also after a power cut, and where the flash is spared."""
    opened = Opened(
        previous_epoch="E", clean=False, same_boot=boot == "same", streams=[StoredStream(1, "E", "press-01", 5, TS)],
        lows=[], records=0, size=0, last_row=4, oldest=None, pages=0, vacant=0, quarantined=0, memo={},
    )  # fmt: skip
    policy = OutboxSettings.model_validate(settings)
    spared = policy.disk == "on_outage"
    assert recorded(opened, policy.durability, spared=spared) == {"press-01": TS + more}
    opened.clean = True
    assert recorded(opened, policy.durability, spared=spared) == {"press-01": TS}
    opened.damage = "a page"
    assert recorded(opened, policy.durability, spared=spared) == {}
