"""Random histories of one outbox, with crashes, against what a sceptic would write down beside it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.flow import Batch, Gap, Reading, Record
from agent.core.ports import Reader
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock

TS = 1_763_760_000_000

OPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from("ab"), st.integers(1, 6), st.integers(1, 8)),
        st.tuples(st.just("append"), st.sampled_from("ab"), st.integers(1, 6), st.integers(1, 8)),
        st.tuples(st.just("live"), st.integers(1, 4)),
        st.tuples(st.just("backlog"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["ack", "ack", "reject", "retry", "put_off"]), st.integers(0, 9)),
        st.tuples(st.sampled_from(["flush", "session", "restart", "crash", "age"])),
    ),
    min_size=10,
    max_size=60,
)
POLICY = st.fixed_dictionaries(
    {
        "when_full": st.sampled_from(["drop_oldest", "drop_newest"]),
        "max_bytes": st.sampled_from(["600B", "1500B", "1MiB"]),
        "max_age": st.sampled_from(["1000s", "30d"]),
        "disk": st.sampled_from(["always", "on_outage"]),
    }
)


def covered_by(gap: Gap) -> set[tuple[str, str, int]]:
    """The keys a gap excuses."""
    if gap.epoch is None or gap.from_seq is None or gap.to_seq is None:
        return set()
    return {(gap.epoch, gap.device, seq) for seq in range(gap.from_seq, gap.to_seq + 1)}


class History:
    """One outbox, what was done to it, and what must follow."""

    def __init__(self, folder: Path, policy: dict[str, object]) -> None:
        self.folder = folder
        self.settings = OutboxSettings.model_validate({"min_free_disk": "0B", **policy})
        self.clock = ManualClock(TS)
        self.files = 0
        self.appended: dict[tuple[str, str, int], int] = {}  # key → number of the batch
        self.durable: set[tuple[str, str, int]] = set()  # flushed, or handed out: they may never vanish
        self.acked: set[tuple[str, str, int]] = set()
        self.doubtful: set[tuple[str, str, int]] = set()  # acknowledged, but a crash may have undone that
        self.unsure: set[tuple[str, str, int]] = set()
        self.gaps: dict[str, Gap] = {}
        self.flight: list[Record] = []
        self.newest: dict[tuple[str, bool], int] = {}
        self.retried = False
        self.number = 0

    @property
    def path(self) -> Path:
        return self.folder / f"{self.files}" / "route.sqlite"

    def make(self) -> SqliteOutbox:
        outbox = SqliteOutbox(self.path, name="route", settings=self.settings, clock=self.clock)
        outbox._state.lane_bounds = (2000, 5)
        return outbox

    def append(self, outbox: SqliteOutbox, device: str, readings: int, times: int) -> None:
        for _ in range(times):
            self._append(outbox, device, readings)

    def _append(self, outbox: SqliteOutbox, device: str, readings: int) -> None:
        self.number += 1
        batch = Batch(device, TS, [Reading(f"t{i}", self.number, TS, "good") for i in range(readings)])
        before = {one.device: one for one in outbox.streams() if one.epoch == outbox._state.book.epoch}
        seq = before[device].next if device in before else 1
        outbox.append(batch)
        self.appended[outbox._state.book.epoch, device, seq] = self.number

    def handed_out(self, records) -> None:
        for record in records:
            self.flight.append(record)
            if isinstance(record.content, Gap):
                # A declaration says the same thing for ever, once it has been said.
                known = self.gaps.setdefault(record.content.id, record.content)
                assert known == record.content
                continue
            key = (record.stream.epoch, record.stream.device, record.seq)
            assert self.appended[key] == record.content.readings[0].value, "a key with two payloads"
            assert key not in self.acked - self.doubtful, "acknowledged, and there again"
            if self.settings.disk == "always":  # else a crash may cost it
                self.durable.add(key)
            lane = (record.stream.epoch + record.stream.device, record.historical)
            if not self.retried:
                assert record.seq > self.newest.get(lane, 0), "out of order"
            self.newest[lane] = record.seq

    def flushed(self, outbox: SqliteOutbox) -> None:
        self.durable |= {key for key in self.appended if key[0] == outbox._state.book.epoch}

    def ended(self, record) -> None:
        if isinstance(record.content, Batch):
            key = (record.stream.epoch, record.stream.device, record.seq)
            self.acked.add(key)
            self.unsure.add(key)

    def declared(self) -> set[tuple[str, str, int]]:
        covered: set[tuple[str, str, int]] = set()
        for gap in self.gaps.values():
            keys = covered_by(gap)
            if not keys:
                continue
            assert len(keys) == gap.records
            assert not keys & covered, "declared twice"
            covered |= keys
        return covered

    def check_low(self, outbox: SqliteOutbox, answered: set[str]) -> None:
        covered = set()
        for name in answered:
            covered |= covered_by(self.gaps[name])
        for stream in outbox.streams():
            for seq in range(1, stream.low):
                key = (stream.epoch, stream.device, seq)
                assert key in self.acked or key in covered, f"low {stream.low} is above {seq}, which still waits"

    def new_session(self) -> None:
        self.flight.clear()
        self.newest.clear()
        self.retried = False


async def _now(waiting: Awaitable[Sequence[Record]]) -> Sequence[Record]:
    """What a lane has at once."""
    try:
        async with asyncio.timeout(0.02):
            return await waiting
    except TimeoutError:
        return []


class Player:
    """Plays operations on one run of an outbox; each is a method of its name, True ends the session."""

    def __init__(self, history: History, outbox: SqliteOutbox, answered: set[str]) -> None:
        self.history = history
        self.outbox = outbox
        self.answered = answered
        self.end = ""
        self.reader: Reader

    async def play(self, todo: list[tuple[Any, ...]]) -> None:
        """Until the run is over, one way or another."""
        while todo and not self.end:
            self.history.new_session()
            with self.outbox.reader() as self.reader:
                while todo:
                    op, *args = todo.pop(0)
                    over = await getattr(self, op)(*args)
                    self.history.check_low(self.outbox, self.answered)
                    self.check_counts()
                    if over:
                        break

    def check_counts(self) -> None:
        """Every row is somewhere, and once."""
        state, lanes = self.outbox._state, self.outbox._state.lanes
        assert lanes is not None
        assert state.late + lanes.left + len(lanes.live) + len(lanes.flight) + lanes.put_off <= state.records
        assert lanes.put_off >= 0

    async def append(self, device: str, readings: int, times: int) -> None:
        self.history.append(self.outbox, device, readings, times)

    async def live(self, limit: int) -> None:
        lanes = self.outbox._state.lanes
        if self.outbox._state.ring or (lanes is not None and lanes.live):
            self.history.handed_out(await _now(self.reader.live(limit)))

    async def backlog(self, limit: int) -> None:
        if self.reader.backlog_left:
            self.history.handed_out(await _now(self.reader.backlog(limit)))

    def _picked(self, index: int):
        flight = self.history.flight
        return flight.pop(index % len(flight)) if flight else None

    async def ack(self, index: int) -> None:
        record = self._picked(index)
        if record is not None:
            self.reader.ack(record)
            self.history.ended(record)
            if isinstance(record.content, Gap):
                self.answered.add(record.content.id)

    async def reject(self, index: int) -> None:
        record = self._picked(index)
        if record is not None:
            self.reader.reject(record, "no")

    async def retry(self, index: int) -> None:
        record = self._picked(index)
        if record is not None:
            self.history.retried = True
            self.reader.retry(record)

    async def put_off(self, index: int) -> None:
        record = self._picked(index)
        if record is not None:
            self.reader.put_off(record)

    async def flush(self) -> None:
        await self.outbox.flush()
        self.history.flushed(self.outbox)
        self.history.unsure.clear()

    async def age(self) -> None:
        await self.history.clock.advance(400)

    async def session(self) -> bool:
        return True

    async def restart(self) -> bool:
        self.end = "restart"
        return True

    async def crash(self) -> bool:
        """From here on another process works on the file as it is now, without what only memory knows."""
        self.end = "crash"
        await asyncio.sleep(0)
        assert self.outbox._writer is not None
        async with self.outbox._writer.lock:
            before = self.history.path.parent
            self.history.files += 1
            shutil.copytree(before, self.history.path.parent)
        self.history.doubtful |= self.history.unsure
        self.history.unsure.clear()
        return True


async def play(history: History, ops) -> None:
    answered: set[str] = set()
    todo = list(ops)
    while todo:
        outbox = history.make()
        player = Player(history, outbox, answered)
        async with outbox.open():
            await player.play(todo)
        if player.end != "crash":
            history.flushed(outbox)
            history.unsure.clear()
    await settle(history)


async def settle(history: History) -> None:
    """Drain everything: each durable batch is acknowledged, still there, or declared, and only one of these."""
    outbox = history.make()
    async with outbox.open():
        history.new_session()
        waiting = set()
        with outbox.reader() as reader:
            while reader.backlog_left:
                records = await _now(reader.backlog(100))
                history.handed_out(records)
                for record in records:
                    if record.seq:
                        waiting.add((record.stream.epoch, record.stream.device, record.seq))
                    reader.ack(record)
            await outbox.flush()
            history.handed_out(await _now(reader.live(100)))
        declared = history.declared()
        assert not waiting & declared, "declared lost, and there"
        assert not (history.acked - history.doubtful) & declared, "acknowledged, and declared lost"
        assert history.durable - history.acked - waiting - declared == set(), "lost in silence"
        assert not (waiting & history.acked) - history.doubtful


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPS, POLICY)
async def test_nothing_is_lost_in_silence_whatever_happens(ops, policy):
    """Appended is acknowledged, waiting or declared; `low` never passes what waits; no key means two things."""
    with TemporaryDirectory() as folder:
        await play(History(Path(folder), policy), ops)
