"""Controllers whose clock is behind, set back or standing still: what a consumer hears has times that go on."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from pathlib import Path
from typing import Any

from asyncua.server.internal_subscription import InternalSubscription
from line_protocol_parser import parse_line  # type: ignore[import-untyped]

from tests.faults.southbound.conftest import Running, opcua, stage
from tests.faults.southbound.ear import Ear, Reading
from tests.integration.opcua.server import Hall, Plant, said
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import observing
from tests.support.waiting import eventually


def now(*, behind: float = 0.0) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=behind)


def ms(instant: dt.datetime) -> int:
    return int(instant.timestamp() * 1000)


async def tell(plant: Plant, ear: Ear, tag: str, value: int, at: dt.datetime) -> Reading:
    """Put a value with this source time, and wait until the consumer has heard it."""
    await plant.do(plant.put(tag, said(value, at=at)))
    await eventually(lambda: ear.readings("plc", tag, value=value), what=f"{tag} = {value}")
    return ear.readings("plc", tag, value=value)[0]


def rises(readings: list[Reading]) -> bool:
    return all(one.ts < other.ts for one, other in pairwise(readings))


def when(reading: Reading, at: dt.datetime) -> bool:
    """Whether it has the time it arrived, and the source's word beside it."""
    return reading.src == ms(at) and 0 <= ms(now()) - reading.ts < 10_000


async def test_a_controller_whose_clock_is_half_a_minute_behind(running: Running, hall: Hall) -> None:
    """Every reading has the time it arrived, not the time of the first one over and over."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 0))
    async with running({"plc": opcua(plant.url, "a")}) as (_, ear):
        await ear.good("plc", ["a"])
        for value in range(1, 5):
            at = now(behind=30)
            assert when(await tell(plant, ear, "a", value, at), at)
        assert rises(ear.readings("plc", "a"))
    await hall.stop(plant)


async def test_a_controller_whose_clock_is_set_back(running: Running, hall: Hall) -> None:
    """An hour back at the end of summer time: times go on, at once; and so they do once it is right again."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 0))
    async with running({"plc": opcua(plant.url, "a")}) as (_, ear):
        await ear.good("plc", ["a"])
        at = now()
        ordinary = await tell(plant, ear, "a", 1, at)
        assert (ordinary.ts, ordinary.src) == (ms(at), None)
        for value in range(2, 5):
            at = now(behind=3600)
            assert when(await tell(plant, ear, "a", value, at), at)
        at = now()
        ordinary = await tell(plant, ear, "a", 5, at)
        assert (ordinary.ts, ordinary.src) == (ms(at), None)
        assert rises(ear.readings("plc", "a"))
    await hall.stop(plant)


async def test_a_database_of_points_keeps_every_value_of_a_clock_set_back(
    tmp_path: Path, mosquitto: Mosquitto, hall: Hall
) -> None:
    """Series, field and time are all that InfluxDB knows a point by: no two values share them, and none is lost."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 0))
    database = {"type": "mqtt", "url": mosquitto.url, "root": "db", "encoder": {"type": "influx"}}
    running = stage(tmp_path, mosquitto, publishers={"db": database})
    async with observing(mosquitto.port, "db/#") as observed, running({"plc": opcua(plant.url, "a")}) as (_, ear):

        def points() -> list[tuple[int, int]]:
            """Times and values in the order they came; what is bad has no value."""
            lines = [
                line for one in observed.seen if one.topic.endswith("/plc/lines") for line in one.payload.split(b"\n")
            ]
            parsed = [parse_line(line.decode()) for line in lines]
            return [(line["time"], line["fields"]["a"]) for line in parsed if "a" in line["fields"]]

        await ear.good("plc", ["a"])
        for value in range(1, 4):
            await tell(plant, ear, "a", value, now())
        for value in range(4, 10):
            await tell(plant, ear, "a", value, now(behind=3600))
        await plant.do(plant.put("a", *(said(value, at=now(behind=3600)) for value in (10, 11))))
        await eventually(lambda: points() and points()[-1][1] == 11, what="the database has the last value")
        kept = dict(points())
    assert len(kept) == len(points())
    assert [value for _, value in sorted(kept.items())][-11:] == list(range(1, 12))
    await hall.stop(plant)


async def test_a_source_time_that_never_changes_although_the_value_does(running: Running, hall: Hall) -> None:
    """Subscribed and polled alike."""
    plant = await hall.plant()
    still = now()
    for name in ("a", "b"):
        await plant.do(plant.add(name, 0))
        await plant.do(plant.put(name, said(0, at=still)))
    devices = {"plc": opcua(plant.url, "a"), "polled": opcua(plant.url, "b", mode="poll")}
    async with running(devices) as (_, ear):
        await ear.good("plc", ["a"])
        for value in range(1, 4):
            assert (await tell(plant, ear, "a", value, still)).src == ms(still)
        await ear.goes_on("polled", "b", 5)
        polled = ear.readings("polled", "b")
        assert {one.src for one in polled} == {ms(still)}
        assert rises(ear.readings("plc", "a"))
        assert rises(polled)
    await hall.stop(plant)


async def test_values_queued_while_a_server_stood_still(running: Running, hall: Hall) -> None:
    """Older than the recovery of their tag and heard together: each has a time of its own, in the order they came."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 0))
    device: dict[str, Any] = opcua(plant.url, "a")
    device["tags"]["a"]["queue_size"] = 10
    async with running({"plc": device}) as (_, ear):
        await ear.good("plc", ["a"])
        times = [now(behind=20 - second) for second in range(3)]
        await plant.do(plant.put("a", *(said(number + 1, at=at) for number, at in enumerate(times))))
        await eventually(lambda: ear.readings("plc", "a", value=3))
        queued = ear.readings("plc", "a")[-3:]
        assert [(one.value, one.src) for one in queued] == [(n + 1, ms(at)) for n, at in enumerate(times)]
        assert rises(ear.readings("plc", "a"))
    await hall.stop(plant)


async def test_a_cut_after_the_servers_clock_was_set_back(running: Running, hall: Hall, monkeypatch: Any) -> None:
    """The gap of a short cut spans the cut, not the hour by which the server's clock was set back before it."""
    back = [0.0]
    pop = InternalSubscription._pop_publish_result

    def made(self: InternalSubscription) -> Any:
        result = pop(self)
        result.NotificationMessage.PublishTime = now(behind=back[0])
        return result

    monkeypatch.setattr(InternalSubscription, "_pop_publish_result", made)
    plant = await hall.plant()
    await plant.do(plant.add("a", 0))
    async with running({"plc": opcua(plant.url, "a")}) as (_, ear):
        await ear.good("plc", ["a"])
        before = ms(now())
        await tell(plant, ear, "a", 1, now())
        back[0] = 3600
        for value in (2, 3):
            await tell(plant, ear, "a", value, now(behind=3600))
        await plant.do(plant.close_listener())
        await ear.hears("plc", "offline")
        await plant.do(plant.open_listener())
        await ear.why("plc", "recovered", ["a"])
        await eventually(lambda: ear.gaps, what="the outage is declared")
    (gap,) = ear.gaps
    assert before <= gap["from_ts"] < gap["to_ts"]
    await hall.stop(plant)
