"""`browse:` with `overrides`: what is found is read as the configuration, else the server, has it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from asyncua import ua as library

from agent.collectors.opcua.config import OpcUaConfig
from agent.core.flow import TagFacts
from agent.testing.context import SimpleContext
from agent.workbench.live import visits_of
from tests.integration.opcua.machines import CEFACT, machine
from tests.integration.opcua.server import URN, Hall, Plant, said
from tests.integration.opcua.support import BRISK, Notebook, config

ua: Any = library


def browse(root: str, **keys: Any) -> Mapping[str, Any]:
    return {"root": f"nsu={URN};s={root}", **keys}


async def test_units_come_from_the_server_and_from_the_configuration(shared: Plant) -> None:
    """EngineeringUnits in UCUM, the configured unit above it; what describes a value is no tag of its own."""
    await machine(shared, "m1", URN)
    overrides = {"*/Temperature": {"unit": "K", "offset": 273.15}, "*": {"report": "on_change"}}
    made = config(shared.url, {}, browse=browse("m1", overrides=overrides))
    context = SimpleContext()
    async with aclosing(visits_of("dev", made, made.build("dev", context, BRISK), context)) as visits:
        visit = await anext(visits)
    read = {tag: (reading.value, reading.unit) for tag, reading in visit.readings.items()}
    assert read["Spindle/Speed"] == (1200.0, "1/min")
    assert read["Spindle/Temperature"] == (313.15, "K")
    of_spindle = {f"Spindle/{name}" for name in ("Speed", "Temperature", "Mode", "Gear")}
    assert read.keys() == of_spindle | {"Secret", "Curve", "État 状態"}
    assert visit.nodes["Spindle/Speed"] == f"nsu={URN};s=m1.Spindle.Speed"


def test_all_globs_that_fit_count_the_last_one_most() -> None:
    """Key by key; what contradicts a later one goes; nodes that are not enabled are left out."""
    overrides = {
        "*": {"report": "every", "unit": "1", "interval": "5s", "max_silence": "1m"},
        "a/*": {"deadband": 0.5, "unit": "Cel", "sampling_interval": "100ms", "queue_size": 7},
        "a/b": {"enabled": False},
    }
    made = config("opc.tcp://h", {"x": "i=2258"}, browse=browse("m", overrides=overrides))
    tag = made.found_tag("a/x")
    assert (tag.report, tag.deadband, tag.unit, tag.interval, tag.enabled) == (None, 0.5, "Cel", 5.0, True)
    assert made.found_tag("c").report == "every"
    plan = made.plan("dev", "gw")
    assert plan.selection is not None
    keys = plan.selection.keys("a/x")
    assert (keys.interval, keys.silence, keys.point.sampling_ms, keys.point.queue_size) == (5.0, 60.0, 100.0, 7)
    assert not plan.selection.keys("a/b").enabled
    assert {group.interval for group in plan.groups} == {0.05, 5.0}


async def test_a_node_that_is_configured_is_read_once(hall: Hall) -> None:
    """By node id, by index or by path: it is the configured tag, also where that is disabled."""
    plant = await hall.plant()
    await machine(plant, "m2", URN)
    index = plant.indexes[URN]
    tags = {
        "speed": f"ns={index};s=m2.Spindle.Speed",
        "warm": {"path": f"Objects/nsu={URN};m2/nsu={URN};Spindle/nsu={URN};Temperature"},
        "off": {"node": f"nsu={URN};s=m2.Curve", "enabled": False},
    }
    overrides = {"Secret": {"enabled": False}}
    made = config(plant.url, tags, browse=browse("m2", overrides=overrides, max_nodes=2))
    async with made.build("dev", SimpleContext(), BRISK).open() as samples:
        notebook = Notebook(list(tags), samples, SimpleContext())
        await notebook.heard("speed", "warm")
        await notebook.until(lambda: len(notebook.said) > len(tags))
        await notebook.heard(*(notebook.said.keys() - {"off"}))
    assert notebook.said.keys() == {"speed", "warm", "off", "Spindle/Mode", "État 状態"}
    await hall.stop(plant)


async def test_found_tags_have_intervals_of_their_own(shared: Plant) -> None:
    """A slow one is sampled slowly, `once` is read once."""
    await machine(shared, "m3", URN)
    overrides = {"*Speed": {"interval": "2s"}, "*Mode": {"interval": "once"}}
    made = config(shared.url, {}, browse=browse("m3", include=["Spindle/*"], overrides=overrides))
    context = SimpleContext()
    async with made.build("dev", context, BRISK).open() as samples:
        notebook = Notebook([], samples, context)
        await notebook.until(lambda: len(notebook.said) == 4)
        await notebook.heard()
        note = notebook.note
    assert len(note["subscriptions"]) == 2
    assert note["found_nodes"]["Spindle/Mode"] == f"nsu={URN};s=m3.Spindle.Mode"


async def test_a_unit_that_changed_is_told_on_the_next_connection(hall: Hall) -> None:
    """Another program, another unit: no reading goes on under the old one."""
    plant = await hall.plant()
    await machine(plant, "m4", URN)
    made = OpcUaConfig.model_validate(
        {"type": "opcua", "url": plant.url, "interval": "50ms", "browse": browse("m4", include=["Spindle/Temperature"])}
    )
    context = SimpleContext()
    collector = made.build("dev", context, BRISK)
    told: list[TagFacts] = []
    for number in (1, 2):
        async with collector.open() as samples:
            notebook = Notebook(["Spindle/Temperature"] if number == 2 else [], samples, context)
            while len(told) < number:
                told += ((await notebook.turn()).facts or {}).values()
        eu = plant.server.get_node(ua.NodeId("m4.Spindle.Temperature.eu", plant.indexes[URN]))
        fahrenheit = ua.EUInformation(NamespaceUri=CEFACT, UnitId=4604232, DisplayName=ua.LocalizedText("°F"))
        await plant.do(plant.server.write_attribute_value(eu.nodeid, said(fahrenheit)))
    assert [one.unit for one in told] == ["Cel", "[degF]"]
    assert {one.node for one in told} == {f"nsu={URN};s=m4.Spindle.Temperature"}
    await hall.stop(plant)
