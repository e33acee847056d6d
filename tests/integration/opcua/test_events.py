from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua as library

from agent.core.errors import ConnectionLost
from agent.core.quality import name_of
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, Notebook, config

ua: Any = library


async def happen(plant: Plant, message: str, severity: int) -> None:
    """An event of the server itself."""

    async def severe() -> None:
        generator = await plant.server.get_event_generator()
        generator.event.Severity = severity
        await generator.trigger(message=message)

    await plant.do(severe())


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_events_are_readings_of_their_notifier(hall: Hall, mode: str) -> None:
    """With type, source, severity, message and time; those below the severity asked for are left out; none twice."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 1))
    made = config(
        plant.url,
        {"a": f"nsu={URN};s=a"},
        mode=mode,
        events={"alarms": {"min_severity": 300}, "nowhere": {"node": "nsu=urn:no;s=x"}},
    )
    assert [info.type for info in made.catalogue()] == [None, "event", "event"]
    context = SimpleContext()
    collector = made.build("dev", context, BRISK)
    names = list(made.tag_table)
    async with collector.open() as samples:
        notebook = Notebook(names, samples, context)
        await notebook.heard("a", "alarms", "nowhere")
        assert (notebook.newest("alarms"), name_of(notebook.status("alarms"))) == ({}, "GoodNoData")
        assert name_of(notebook.status("nowhere")) == "BadNodeIdUnknown"
        for message, severity in (("quiet", 100), ("loud", 500), ("louder", 900)):
            await happen(plant, message, severity)
        await notebook.until(lambda: len(notebook.said["alarms"]) == 3)
        rows = notebook.said["alarms"][1:]
        assert [(row[0]["message"], row[0]["severity"]) for row in rows] == [("loud", 500), ("louder", 900)]
        event = rows[0][0]
        assert event["source"] == "Server"
        assert event["type"] == "i=2041"
        assert event["id"]
        assert rows[0][2] is not None, "the event's own time"
        await plant.do(plant.close_listener())
        with pytest.raises(ConnectionLost):
            await notebook.until(lambda: False)
    await plant.do(plant.open_listener())
    async with collector.open() as samples:
        notebook = Notebook(names, samples, context)
        await notebook.until(lambda: notebook.said["alarms"] and notebook.losses)
        (loss,) = notebook.losses
        assert loss.tags == (None if mode == "subscribe" else (1, 2))
    await hall.stop(plant)
