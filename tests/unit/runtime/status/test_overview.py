"""What is looked at every few seconds, and told every hour."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agent.core.flow import Stream
from agent.core.image import AgentInfo, Image
from agent.core.ports import Lost, OutboxStats
from agent.runtime.control import Nothing
from agent.runtime.north.refusals import LATELY, Refusals
from agent.runtime.north.route import Route
from agent.runtime.south.device import Device
from agent.runtime.status.overview import HOUR, LOOK, Overview
from agent.telemetry.metrics import OUTBOX_FILL
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

MIB = 1 << 20


class FakeOutbox:
    """Figures, nothing else."""

    def __init__(self) -> None:
        self.stats = OutboxStats(limit=100 * MIB, free_disk=10_000 * MIB, min_free_disk=200 * MIB)

    def streams(self) -> tuple[Stream, ...]:
        return ()


@dataclass
class FakeStanding:
    """How it stands, likewise."""

    since: float = 1000.0
    protocol: str | None = "5"
    refusals: Refusals = field(default_factory=lambda: Refusals(ManualClock()))


@dataclass
class FakeRoute:
    """A route, as far as it is looked at."""

    name: str
    state: str = "online"
    reason: str | None = None
    next_attempt: float | None = None
    conflict: str | None = None
    standing: FakeStanding = field(default_factory=FakeStanding)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.routes = [FakeRoute("overview-plant")]
        self.devices: list[Any] = []
        self.overview = Overview(
            Image(AgentInfo("gw", "0", "h")),
            folder,
            clock=self.clock,
            routes=lambda: cast("list[Route]", self.routes),
            devices=lambda: cast("list[Device]", self.devices),
            publishers=lambda: ["overview-plant"],
        )

    @property
    def stats(self) -> OutboxStats:
        return self.routes[0].outbox.stats

    async def looks(self, seconds: float, fill: int = 0) -> None:
        """Time passes, and the outbox fills by so many bytes a second."""
        for _ in range(round(seconds / LOOK)):
            self.stats.bytes += round(fill * LOOK)
            self.stats.appended_bytes += round(fill * LOOK)
            await self.clock.advance(LOOK)
            self.overview.look()

    def publisher(self) -> dict[str, Any]:
        found: dict[str, Any] = self.overview.status()["publishers"]["overview-plant"]
        return found


async def test_an_outbox_that_fills_is_told_twice_before_it_is_full(tmp_path: Path) -> None:
    """At 70 and 90 %, with the time left at the present rate; and once when it has room again."""
    bench = Bench(tmp_path)
    with capture_logs() as logs:
        await bench.looks(100, fill=MIB)
        told = [(log["percent"], log["full_in_s"]) for log in logs if log["event"] == "outbox.filling"]
        assert told == [(70, 30), (90, 10)]
        assert bench.publisher()["room_seconds"] == 0
        bench.stats.bytes = 0
        bench.overview.look()
        assert bench.publisher()["room_seconds"] == 100
        bench.stats.max_age, bench.stats.oldest_ts = 60, bench.clock.now_ms() - 20_000
        assert bench.publisher()["room_seconds"] == 40  # then it is given up for its age
    assert [log["event"] for log in logs if log["event"] == "outbox.eased"] == ["outbox.eased"]
    labels = ("overview-plant",)
    assert OUTBOX_FILL.cells[labels].value == 0
    bench.routes.clear()
    bench.overview.look()
    assert labels not in OUTBOX_FILL.cells


async def test_a_disk_that_fills_is_told_before_and_at_its_floor(tmp_path: Path) -> None:
    """The event tells how long it takes until outboxes stop growing, and the status finds it wrong below the floor."""
    bench = Bench(tmp_path)
    with capture_logs() as logs:
        for free in range(500, 150, -5):
            bench.stats.free_disk = free * MIB
            await bench.looks(LOOK)
    told = [(log["free_bytes"] // MIB, log["below"], log["floor_in_s"]) for log in logs if log["event"] == "disk.low"]
    assert told == [(400, False, 200), (200, False, 0)]
    assert [one["event"] for one in bench.overview.status()["wrong"]] == ["disk.low"]


async def test_a_disk_without_inodes_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much room is left on it: no file can be made there. It is logged once, and when it is over."""
    left = 0
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_files=1000, f_favail=left))
    bench = Bench(tmp_path)
    with capture_logs() as logs:
        for _ in range(3):
            (finding,) = (await bench.overview.answer(Nothing()))["wrong"]
        assert (finding["event"], finding["counts"]) == ("disk.low", True)
        assert finding["do"] == "delete files there, however small"
        assert finding["why"] == "no inodes are left on it, so that no file can be made"
        left = 5
        assert (await bench.overview.answer(Nothing()))["wrong"] == []
    assert [log["event"] for log in logs] == ["disk.low", "disk.ok"]


async def test_one_line_an_hour(tmp_path: Path) -> None:
    """So that silence in between means something."""
    bench = Bench(tmp_path)
    bench.stats.records = 7
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.overview.run())

            async def hours() -> int:
                await bench.clock.advance(LOOK)
                return len([log for log in logs if log["event"] == "agent.summary"])

            await eventually(hours)
            passed = bench.clock.monotonic() - 1000
            task.cancel()
    line = next(log for log in logs if log["event"] == "agent.summary")
    assert HOUR <= passed <= HOUR + 3 * LOOK
    assert (line["backlog"], line["lost"], line["devices"]) == (7, 0, 0)


async def test_since_when_all_is_well(tmp_path: Path) -> None:
    """A disk that takes again changes no state, and is over all the same: whoever looks for the first time is told."""
    bench = Bench(tmp_path)
    started = bench.overview.status()["started"]
    await bench.clock.advance(60)
    assert bench.overview.status()["well_since"] == started
    bench.stats.committing = False
    await bench.looks(2 * LOOK)
    assert bench.overview.status()["well_since"] is None
    wrong_until = bench.clock.now_ms()
    bench.stats.committing = True
    await bench.clock.advance(600)
    assert bench.overview.status()["well_since"] == wrong_until


async def test_a_device_asked_in_vain_is_not_well_though_nobody_looks(tmp_path: Path) -> None:
    """It answers again before it is lost: no state changes."""
    bench = Bench(tmp_path)
    started = bench.overview.status()["well_since"]
    bench.devices = [SimpleNamespace(name="press", unanswered=bench.clock.monotonic(), next_attempt=None)]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.overview.run())

        async def noticed() -> bool:
            await bench.clock.advance(LOOK)
            return bool(bench.overview.status()["well_since"] > started)

        await eventually(noticed)
        task.cancel()


async def test_losses_count_for_a_day(tmp_path: Path) -> None:
    """From when they were noticed, whatever the times of the records; quarantine of earlier runs from the start on."""
    bench = Bench(tmp_path)
    await bench.looks(LOOK)
    bench.stats.lost = Lost(5, 50, 1, 2)
    bench.overview.look()
    assert [(one["event"], one["counts"]) for one in bench.overview.status()["wrong"]] == [("outbox.dropped", True)]
    await bench.clock.advance(86_400)
    assert bench.overview.status()["wrong"] == []
    bench.routes.append(FakeRoute("overview-cloud"))
    bench.routes[1].outbox.stats.quarantined = 1
    found = bench.overview.status()["wrong"]
    assert [(one["event"], one["name"]) for one in found] == [("publisher.quarantined", "overview-cloud")]


async def test_a_step_of_the_clock_makes_nothing_older(tmp_path: Path) -> None:
    """`since` and `next_attempt` are told by the clock as it is set now."""
    bench = Bench(tmp_path)
    bench.routes[0].state, bench.routes[0].next_attempt = "offline", bench.clock.monotonic() + 30
    await bench.clock.advance(5)
    bench.clock.step_wall(-3600)
    now = bench.clock.now_ms()
    plant = bench.publisher()
    assert (plant["since"], plant["next_attempt"]) == (now - 5000, now + 25_000)


async def test_outboxes_without_a_publisher_are_shown(tmp_path: Path) -> None:
    """What waits where nobody sends it is found, and does not count."""
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "former.sqlite").write_bytes(b"no database")
    bench = Bench(tmp_path)
    document = await bench.overview.answer(None)  # type: ignore[arg-type]
    assert [one["publisher"] for one in document["orphans"]] == ["former"]
    assert [(one["event"], one["name"], one["counts"]) for one in document["wrong"]] == [
        ("outbox.orphaned", "former", False)
    ]


async def test_an_outbox_is_no_orphan_while_its_route_is_away(tmp_path: Path) -> None:
    """A publisher that is replaced, waits for a file or ends with the agent has its outbox all the same."""
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "overview-plant.sqlite").write_bytes(b"")
    bench = Bench(tmp_path)
    bench.routes.clear()
    assert (await bench.overview.answer(None))["orphans"] == []  # type: ignore[arg-type]


async def test_a_refusal_is_shown_until_it_must_have_been_tried_again() -> None:
    """What the broker refused of a device is known for ten minutes after the last time."""
    clock = ManualClock()
    refusals = Refusals(clock)
    refusals.met("press", "not authorised")
    await clock.advance(LATELY)
    assert refusals.lately == {"press": "not authorised"}
    await clock.advance(1)
    assert refusals.lately == {}
