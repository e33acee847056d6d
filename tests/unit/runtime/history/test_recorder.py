"""The history keeps itself: switched on and off, over restarts, steps of the clock, and disks that fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.config.model import HistorySettings
from agent.core.flow import Batch, Gap, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.runtime.history import recorder
from agent.runtime.history.recorder import FILE, History
from agent.runtime.history.store import HistoryStore
from agent.runtime.outlet import Outlet
from agent.runtime.steps import Steps
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

T0 = 1_763_760_000_000


class Plant:
    """A device, and the history that hears of it."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.image = Image(AgentInfo("gw-01", "0.2", "abc"))
        self.outlet = Outlet()
        self.steps = Steps(clock)
        self.image.add("press-01", location=["a"], tags=[TagInfo("t"), TagInfo("u")], cat=1, now=T0)
        self.history = History(folder, self.image, self.outlet, self.steps, clock)
        self.history.apply(HistorySettings(), 0)

    def read(self, value: object, tag: str = "t", **batch: Any) -> None:
        now = self.clock.now_ms()
        self.outlet.at("press-01")(Batch("press-01", now, [Reading(tag, value, now, "good")], **batch))

    def lose(self, begin_s: int, end_s: int, tags: list[str] | None) -> None:
        """A declared loss of values on the way to us."""
        begin, end = T0 + begin_s * 1000, T0 + end_s * 1000
        gap = Gap(id="g", kind="missed", device="press-01", from_ts=begin, to_ts=end, reason="overflow", tags=tags)
        self.outlet.at("press-01")(gap)

    async def rows(self, tag: str = "t") -> list[list[Any]]:
        answer = await self.history.query("press-01", tag, 0, 1 << 53)
        assert answer is not None
        found: list[list[Any]] = json.loads(answer).get("press-01", {}).get(tag, [])
        return [[row[0] - T0, *row[1:]] for row in found]


@asynccontextmanager
async def running(folder: Path, clock: ManualClock | None = None) -> AsyncIterator[Plant]:
    plant = Plant(folder, clock or ManualClock(T0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plant.history.run())
        yield plant
        await plant.history.close()
        task.cancel()


async def pass_by(plant: Plant, seconds: int) -> None:
    """So much time; what has to be written meanwhile is."""
    for _ in range(seconds):
        await plant.clock.advance(1)
        await eventually(lambda: plant.history._writing is None or plant.history._writing.done())


async def minutes(plant: Plant, seconds: int, *expected: list[Any], tag: str = "t") -> None:
    """After so much time these are the rows."""
    await pass_by(plant, seconds)
    assert await plant.rows(tag) == list(expected)


async def test_a_minute_is_there_ten_seconds_after_its_end(tmp_path: Path) -> None:
    """Not before it is over."""
    async with running(tmp_path) as plant:
        plant.read(5)
        await pass_by(plant, 30)
        plant.read(15)
        await pass_by(plant, 30)
        assert await plant.rows() == []
        await minutes(plant, 10, [0, 5, 10.0, 15, 15, 60_000])


async def test_a_restart_within_a_minute_is_merged(tmp_path: Path) -> None:
    """Before and after in one row; the time between the two is not good."""
    clock = ManualClock(T0)
    async with running(tmp_path, clock) as plant:
        plant.read(5)
        await clock.advance(20)
    await clock.advance(10)
    async with running(tmp_path, clock) as plant:
        plant.read(20)
        await minutes(plant, 40, [0, 5, pytest.approx((5 * 20 + 20 * 30) / 50), 20, 20, 50_000])


async def test_switched_off_and_on_while_it_runs(tmp_path: Path) -> None:
    """Off, nothing listens and nothing is answered; what there is stays, and goes on where it is switched on again."""
    async with running(tmp_path) as plant:
        plant.read(5)
        await pass_by(plant, 20)
        plant.history.apply(None, 0)
        assert plant.outlet.at("press-01").sinks == ()
        assert await plant.history.query("press-01", "t", 0, 1 << 53) is None
        await pass_by(plant, 20)
        plant.history.apply(HistorySettings(), 0)
        plant.read(5)
        await minutes(plant, 30, [0, 5, 5.0, 5, 5, 40_000])


async def test_a_clock_that_is_set_back_and_one_that_is_set_forward(tmp_path: Path) -> None:
    """The same minute twice is one row with at most a minute of good time; an hour that never was has none."""
    async with running(tmp_path) as plant:
        plant.read(5)
        await pass_by(plant, 50)
        plant.clock.step_wall(-40)
        plant.steps.look()
        await pass_by(plant, 10)
        plant.clock.step_wall(3600)
        plant.steps.look()
        first = [0, 5, 5.0, 5, 5, 60_000]
        await minutes(plant, 110, first, [3_600_000, 5, 5.0, 5, 5, 40_000], [3_660_000, 5, 5.0, 5, 5, 60_000])


async def test_snapshots_and_old_readings_are_no_news(tmp_path: Path) -> None:
    """What is said again is in the figures already; what a device remembers is not of this minute."""
    async with running(tmp_path) as plant:
        plant.read(5)
        plant.read(500, snapshot=True)
        plant.read(900, backfill=True)
        await minutes(plant, 70, [0, 5, 5.0, 5, 5, 60_000])


async def test_a_declared_loss_is_not_good_time(tmp_path: Path) -> None:
    """Of the minutes it covers, also of one that is written; nothing of other tags, or before there was a value."""
    async with running(tmp_path) as plant:
        await pass_by(plant, 10)
        plant.read(5)
        plant.read(7, "u")
        await pass_by(plant, 135)
        plant.lose(100, 140, ["t"])
        first = [0, 5, 5.0, 5, 5, 50_000]
        await minutes(plant, 40, first, [60_000, 5, 5.0, 5, 5, 40_000], [120_000, 5, 5.0, 5, 5, 40_000])
        assert [row[-1] for row in await plant.rows("u")] == [50_000, 60_000, 60_000]
        plant.lose(-3600, 180, None)
        await pass_by(plant, 65)
        assert [row[-1] for row in await plant.rows("u")] == [0, 0, 0, 60_000]


async def test_a_tag_or_device_that_goes_has_its_last_row(tmp_path: Path) -> None:
    """Nothing is held for what is not read any more."""
    async with running(tmp_path) as plant:
        plant.read(1, "t")
        plant.read(2, "u")
        await pass_by(plant, 10)
        plant.image.renew("press-01", location=["a"], tags=[TagInfo("t")], cat=2, keep=lambda _tag: True)
        await pass_by(plant, 10)
        plant.image.remove("press-01")
        await minutes(plant, 60, [0, 1, 1.0, 1, 1, 20_000])
        await minutes(plant, 0, [0, 2, 2.0, 2, 2, 10_000], tag="u")


async def test_a_broken_file_is_set_aside_and_told(tmp_path: Path) -> None:
    """And the minute is in the new one."""
    (tmp_path / FILE).write_bytes(b"garbage" * 1000)
    with capture_logs() as logs:
        async with running(tmp_path) as plant:
            plant.read(5)
            await minutes(plant, 70, [0, 5, 5.0, 5, 5, 60_000])
    assert [line["event"] for line in logs] == ["history.set_aside"]
    assert (tmp_path / f"{FILE}.aside").read_bytes().startswith(b"garbage")


async def test_a_file_that_is_deleted_while_it_runs(tmp_path: Path) -> None:
    """Noticed at the next minute: another one is begun, and answers."""
    async with running(tmp_path) as plant:
        plant.read(5)
        await minutes(plant, 70, [0, 5, 5.0, 5, 5, 60_000])
        for file in tmp_path.glob(f"{FILE}*"):
            file.unlink()
        await minutes(plant, 0)
        await minutes(plant, 60, [60_000, 5, 5.0, 5, 5, 60_000])


async def test_below_the_floor_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, and that it goes on."""
    free = 100
    monkeypatch.setattr(recorder, "free_bytes", lambda _folder: free)
    with capture_logs() as logs:
        async with running(tmp_path) as plant:
            plant.history.apply(HistorySettings(), 200)
            plant.read(5)
            await pass_by(plant, 200)
            assert not (tmp_path / FILE).exists()
            assert await plant.rows() == []
            free = 300
            await minutes(plant, 50, [180_000, 5, 5.0, 5, 5, 60_000])
    assert [line["event"] for line in logs] == ["history.not_kept", "history.kept_again"]
    assert "min_free_disk" in logs[0]["reason"]


async def test_a_disk_that_hangs_costs_minutes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is bounded, who asks is told, and nobody waits for it at the end."""
    for name, value in (("WRITE_WITHIN", 0.05), ("LAST_WITHIN", 0.05), ("READ_WITHIN", 0.05), ("MOST_WAITING", 2)):
        monkeypatch.setattr(recorder, name, value)
    back = threading.Event()
    monkeypatch.setattr(HistoryStore, "put", lambda *_: back.wait())
    monkeypatch.setattr(recorder, "read", lambda *_: back.wait())
    clock = ManualClock(T0)
    with capture_logs() as logs:
        async with running(tmp_path, clock) as plant:
            plant.read(5)
            await clock.advance(70)
            await eventually(lambda: logs)
            for _ in range(10):
                await clock.advance(60)
            assert len(plant.history._rows) <= 3
            for _ in range(5):
                with pytest.raises(TimeoutError):
                    await plant.history.query("press-01", "t", 0, 1)
    back.set()
    assert {line["event"] for line in logs} == {"history.not_kept"}


async def test_the_history_sees_first_that_the_clock_was_set(tmp_path: Path) -> None:
    """A gateway without a battery clock starts years behind: what is held is not held for all of them."""
    async with running(tmp_path) as plant:
        plant.read(5)
        await pass_by(plant, 50)
        plant.clock.step_wall(24 * 3600)
        await pass_by(plant, 6)
        assert await plant.rows() == [[0, 5, 5.0, 5, 5, pytest.approx(51_000, abs=1000)]]
