"""Newest wins: what viewers are sent, and what those are who do not keep up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from agent.core.flow import Batch, Gap, Reading
from agent.testing.clock import ManualClock
from agent.web.stream import LiveStream, Viewer


class Plant:
    """Two devices with two tags each."""

    def __init__(self) -> None:
        self.taps: list[Callable[[Batch | Gap], None]] = []
        self.newest = {device: dict.fromkeys(("a", "b"), (0, "good", 0)) for device in ("one", "two")}
        self.asked = 0
        self.logged = 0

    def tap(self, append: Callable[[Batch | Gap], None], /) -> Callable[[], None]:
        self.taps.append(append)
        return lambda: self.taps.remove(append)

    def values(self, device: str, tags: Iterable[str] | None, /) -> dict[str, tuple[object, str, int]] | None:
        found = self.newest.get(device)
        if found is None:
            return None
        return {tag: found[tag] for tag in (found if tags is None else tags)}

    def telling(self) -> dict[str, list[str]]:
        return {device: ["a"] for device in self.newest}

    def status(self) -> dict[str, Any]:
        self.asked += 1
        return {"number": self.asked}

    def news(self) -> int:
        return self.logged

    def now(self) -> int:
        return 7

    def read(self, device: str, tag: str, value: int, **batch: Any) -> None:
        self.newest[device][tag] = (value, "good", value)
        for tap in self.taps:
            tap(Batch(device, 0, [Reading(tag, value, value, "good")], **batch))


class Scene:
    def __init__(self) -> None:
        self.plant, self.clock = Plant(), ManualClock()
        self.stream = LiveStream(self.plant, self.clock)

    def taken(self, viewer: Viewer) -> list[tuple[str, Any]]:
        """Events that it has to be sent now."""
        found = []
        for event in self.stream.take(viewer).decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.stream.run())
        yield made
        task.cancel()


def values(device: str, **tags: int) -> tuple[str, Any]:
    return "values", {"device": device, "ts": 7, "tags": {tag: [value, "good", value] for tag, value in tags.items()}}


async def test_all_at_first_and_then_what_changes() -> None:
    """Of its device; of several values within a tick the newest."""
    async with scene() as at:
        viewer = at.stream.join("one")
        assert at.taken(viewer)[1:] == [values("one", a=0, b=0)]
        at.plant.read("one", "b", 5)
        at.plant.read("one", "b", 6)
        at.plant.read("two", "b", 9)
        await at.clock.advance(0.3)
        assert at.taken(viewer) == [values("one", b=6)]
        assert at.taken(viewer) == []


async def test_the_overview_has_the_telling_tags() -> None:
    """Of each device that changed."""
    async with scene() as at:
        viewer = at.stream.join(None)
        assert at.taken(viewer)[1:] == [values("one", a=0), values("two", a=0)]
        at.plant.read("one", "b", 5)
        at.plant.read("two", "a", 9)
        await at.clock.advance(0.3)
        assert at.taken(viewer) == [values("two", a=9)]


async def test_who_does_not_keep_up_gets_all_values_again() -> None:
    """Nothing is queued meanwhile; the other viewer of the device misses nothing."""
    async with scene() as at:
        slow, quick = at.stream.join("one"), at.stream.join("one")
        at.taken(slow)
        at.taken(quick)
        for value in range(1, 200):
            at.plant.read("one", "b", value)
            await at.clock.advance(0.25)
            assert [one for one in at.taken(quick) if one[0] == "values"] == [values("one", b=value)]
        assert sum(map(len, slow.due.values())) < 200
        assert [one for one in at.taken(slow) if one[0] == "values"] == [values("one", a=0, b=199)]


async def test_status_every_two_seconds_and_a_comment_every_fifteen() -> None:
    """The newest status alone, however long nobody took it."""
    async with scene() as at:
        viewer = at.stream.join("one")
        assert at.taken(viewer)[0] == ("status", {"number": 1})
        await at.clock.advance(2.1)
        assert at.taken(viewer) == [("status", {"number": 2})]
        await at.clock.advance(13)
        assert b"\n:\n\n" in b"\n" + at.stream.take(viewer)


async def test_what_is_logged_brings_the_status_at_once() -> None:
    """Whoever looks learns what went wrong with the next tick; a flood of events brings two a second."""
    async with scene() as at:
        viewer = at.stream.join("one")
        at.taken(viewer)
        await at.clock.advance(0.8)
        at.plant.logged += 1
        await at.clock.advance(0.25)
        assert at.taken(viewer) == [("status", {"number": 2})]
        for _ in range(8):
            at.plant.logged += 1
            await at.clock.advance(0.25)
        assert at.plant.asked == 6


async def test_without_viewers_nothing_is_done() -> None:
    """No tap, no tick, no status: also after the last one has gone."""
    async with scene() as at:
        await at.clock.advance(100)
        assert (at.plant.taps, at.plant.asked) == ([], 0)
        viewer = at.stream.join("one")
        at.stream.leave(viewer)
        await at.clock.advance(1)
        asked = at.plant.asked
        await at.clock.advance(100)
        assert (at.plant.taps, at.plant.asked, at.clock.sleepers) == ([], asked, 0)


async def test_old_readings_and_a_device_that_goes() -> None:
    """What a device remembers is not news; one that is no longer configured has no values."""
    async with scene() as at:
        viewer = at.stream.join("one")
        at.taken(viewer)
        at.plant.read("one", "a", 5, backfill=True)
        await at.clock.advance(0.3)
        assert at.taken(viewer) == []
        at.plant.read("one", "a", 6)
        del at.plant.newest["one"]
        await at.clock.advance(0.3)
        assert at.taken(viewer) == []
        assert not at.stream.knows("one")


async def test_they_are_sent_away_when_it_ends() -> None:
    """With the agent."""
    async with scene() as at:
        viewer = at.stream.join("one")
        await at.clock.advance(0.1)
    assert viewer.ended
