"""What is wrong: what explains the rest stands above it, with what it costs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.image import AgentInfo, Cause, Image, TagInfo
from agent.runtime.status.status import AgentFigures, DeviceFigures, describe
from agent.runtime.status.wrong import FirstSeen
from agent.telemetry.events import EVENTS
from agent.web.schema import Finding, Status

NOW = 1_763_760_000_000
GATEWAY = "tcp://192.168.10.40:502"


def plant(states: dict[str, tuple[str | None, str]], *, causes: tuple[Cause, ...] = ("silent",)) -> dict[str, Any]:
    """Status of devices, by name: bus, and `online` or why each is offline."""
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    for at, (name, (_, state)) in enumerate(states.items()):
        image.add(name, location=["a"], tags=[TagInfo("t", interval=1000)], cat=1, now=NOW - 90_000 + at)
        if state == "online":
            image.set_state(name, "online", now=NOW - 80_000)
        else:
            image.set_state(name, "offline", now=NOW, reason=state, causes=causes)
    figures = {name: DeviceFigures(bus=bus, polled_ms=1000) for name, (bus, _) in states.items()}
    document = describe(image, AgentFigures(NOW, NOW - 90_000, True), [], figures)
    msgspec.convert(document, Status)
    return document


def found(document: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(one["event"], one["name"], one["behind"]) for one in document["wrong"]]


def test_a_dead_gateway_stands_above_the_meters_behind_it() -> None:
    """Once, with how many are lost, each meter behind it; a single device stands below, although it was lost before."""
    states: dict[str, tuple[str | None, str]] = {f"meter-{at:02}": (GATEWAY, "no route to host") for at in range(40)}
    document = plant({"cnc": (None, "connection refused"), **states})
    assert found(document)[:2] == [("bus.silent", GATEWAY, None), ("device.offline", "meter-00", GATEWAY)]
    assert found(document)[-1] == ("device.offline", "cnc", None)
    assert len(document["wrong"]) == 42
    bus = msgspec.convert(document["wrong"][0], Finding)
    assert (bus.what, bus.why, bus.do) == ("bus", "no route to host", EVENTS["bus.silent"].remedy)
    assert [(cost.kind, cost.count) for cost in bus.costs[:1]] == [("devices", 40)]
    assert bus.since == max(one["since"] for one in document["devices"].values())


@pytest.mark.parametrize(
    "states",
    [
        {"a": (GATEWAY, "no answer"), "b": (GATEWAY, "online")},
        {"a": (GATEWAY, "no answer")},
        {"a": (GATEWAY, "no answer"), "b": ("serial:///dev/ttyS0", "no answer")},
        {"a": (None, "no answer"), "b": (None, "no answer")},
    ],
)
def test_a_bus_is_not_blamed(states: dict[str, tuple[str | None, str]]) -> None:
    """Where one of its devices answers, where it has but one, and where they share nothing."""
    assert all(event == "device.offline" and behind is None for event, _, behind in found(plant(states)))


def test_what_does_not_answer_is_told_before_it_is_lost() -> None:
    """One device is only to be looked at, as it may have been a packet; nobody behind a gateway is one that counts."""
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    figures = {}
    for name, bus in (("cnc", None), ("m1", GATEWAY), ("m2", GATEWAY)):
        image.add(name, location=["a"], tags=[TagInfo("t", interval=1000)], cat=1, now=NOW - 90_000)
        image.set_state(name, "online", now=NOW - 80_000)
        figures[name] = DeviceFigures(bus=bus, unanswered=NOW - 2000)
    image.set_state("m1", "degraded", now=NOW - 9000, reason="late", causes=("late",))
    image.set_state("m2", "offline", now=NOW - 1000, reason="no answer", causes=("silent",))
    figures["m2"] = DeviceFigures(bus=GATEWAY)
    document = describe(image, AgentFigures(NOW, NOW - 90_000, True), [], figures)
    msgspec.convert(document, Status)
    assert [(one["event"], one["name"], one["counts"], one["since"]) for one in document["wrong"]] == [
        ("bus.silent", GATEWAY, True, NOW - 2000), ("device.offline", "m2", True, NOW - 1000),
        ("device.unanswered", "m1", False, NOW - 2000), ("device.unanswered", "cnc", False, NOW - 2000),
    ]  # fmt: skip
    assert document["devices"]["cnc"]["do"] == document["wrong"][-1]["do"] == EVENTS["device.unanswered"].remedy
    assert document["wrong"][0]["costs"][0] == {"kind": "devices", "count": 2}


def test_devices_that_cannot_work_as_configured_say_nothing_of_their_bus() -> None:
    """Each has a mistake of its own."""
    document = plant({"a": (GATEWAY, "x"), "b": (GATEWAY, "y")}, causes=("misconfigured",))
    assert [event for event, _, _ in found(document)] == ["device.offline", "device.offline"]


def test_what_counts_stands_before_what_is_only_to_be_looked_at() -> None:
    """A clock that is not set before a device with one bad tag of two."""
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    image.add("press", location=["a"], tags=[TagInfo("t"), TagInfo("u")], cat=1, now=NOW)
    image.set_state("press", "degraded", now=NOW, reason="1 of 2 tags are bad", causes=("tags",))
    about = AgentFigures(NOW, NOW - 90_000, False, unserved="the port is taken -> choose another")
    document = describe(image, about, [], {"press": DeviceFigures()})
    told = [(one["event"], one["counts"]) for one in document["wrong"]]
    assert told == [("agent.clock_unsynced", True), ("device.degraded", False), ("component.failed", False)]
    assert (document["wrong"][-1]["why"], document["wrong"][-1]["do"]) == ("the port is taken", "choose another")


def test_a_disabled_device_counts_neither_way() -> None:
    """The gateway is dead although a device that nobody reads is behind it, too."""
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    for name, cause in (("a", "silent"), ("b", "silent"), ("c", "disabled")):
        image.add(name, location=["a"], tags=[], cat=1, now=NOW)
        image.set_state(name, "offline", now=NOW, reason="no answer", causes=(cause,))  # type: ignore[arg-type]
    figures = {name: DeviceFigures(bus=GATEWAY) for name in "abc"}
    document = describe(image, AgentFigures(NOW, NOW, True), [], figures)
    assert found(document) == [
        ("bus.silent", GATEWAY, None), ("device.offline", "a", GATEWAY), ("device.offline", "b", GATEWAY),
    ]  # fmt: skip
    assert document["wrong"][0]["costs"][0] == {"kind": "devices", "count": 2}


def test_since_when_is_told_of_what_does_not_know_it() -> None:
    """By the first look that found it, until a look does not."""
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    seen = FirstSeen()

    def look(now: float, *, synced: bool) -> list[int | None]:
        document = describe(image, AgentFigures(NOW, NOW, synced), [], {})
        seen.look(document["wrong"], now, round)
        return [one["since"] for one in document["wrong"]]

    assert [look(5, synced=False), look(9, synced=False), look(12, synced=True)] == [[5], [5], []]
    assert look(20, synced=False) == [20]


def test_an_age_that_is_not_to_be_expected() -> None:
    """Three intervals, or three of the periods it reaches; nothing is expected of what is not polled."""
    document = plant({"a": (GATEWAY, "online")})
    assert document["devices"]["a"]["stale_after_ms"] == 4000
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    image.add("a", location=[], tags=[], cat=1, now=NOW)
    image.set_state("a", "degraded", now=NOW, reason="slow", achieved_ms=2500, causes=("late",))
    for figures, expected in ((DeviceFigures(polled_ms=1000), 8500), (DeviceFigures(), None)):
        status = describe(image, AgentFigures(NOW, NOW, True), [], {"a": figures})
        assert status["devices"]["a"]["stale_after_ms"] == expected
