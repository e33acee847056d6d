"""The status document, and what it finds wrong."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from agent.core.flow import Batch, Reading, Stream
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Lost, OutboxStats
from agent.runtime.status.status import AgentFigures, DeviceFigures, RouteFigures, describe
from agent.telemetry.events import EVENTS
from agent.telemetry.events.devices import DEGRADED

NOW = 1_763_760_000_000
MIB = 1 << 20


def scene(**info: Any) -> Image:
    image = Image(AgentInfo("gw-01", "0.2", "abc", **info))
    tags = [
        TagInfo("temperature", interval=1000),
        TagInfo("count", interval=10_000),
        TagInfo("serial", interval="once"),
    ]
    image.add("press-01", location=["acme", "hall"], tags=tags, cat=3, now=NOW - 60_000)
    image.set_state("press-01", "online", now=NOW - 50_000)
    return image


def route(**figures: Any) -> RouteFigures:
    stats = OutboxStats(**({"limit": 100 * MIB} | figures.pop("stats", {})))
    known: dict[str, Any] = {
        "name": "plant", "state": "online", "reason": None, "since": NOW - 40_000, "next_attempt": None,
        "protocol": "5", "conflict": None, "stats": stats, "streams": (Stream("E1", "press-01", 5, 2),),
    }  # fmt: skip
    return RouteFigures(**(known | figures))


def status(
    image: Image | None = None, *routes: RouteFigures, attempts: dict[str, int] | None = None, **about: Any
) -> dict[str, Any]:
    figures: dict[str, Any] = {"now": NOW, "started": NOW - 60_000, "synced": True}
    devices = {name: DeviceFigures(at) for name, at in (attempts or {}).items()}
    return describe(image or scene(), AgentFigures(**(figures | about)), routes or (route(),), devices)


def found(document: dict[str, Any]) -> list[tuple[str, str | None, bool]]:
    return [(one["event"], one["name"], one["counts"]) for one in document["wrong"]]


def test_all_well() -> None:
    """Nothing is wrong; the names are the contract's, and it is plain JSON."""
    document = status(free_disk=10_000 * MIB, disk_floor=200 * MIB)
    assert document["wrong"] == []
    press = document["devices"]["press-01"]
    assert {key: press[key] for key in ("state", "since", "reason", "interval_ms", "do", "bad")} == {
        "state": "online", "since": NOW - 50_000, "reason": None, "interval_ms": 1000, "do": None, "bad": [],
    }  # fmt: skip
    plant = document["publishers"]["plant"]
    assert plant["streams"] == {"press-01": [{"epoch": "E1", "low": 2, "next": 5}]}
    assert plant["room_bytes"] == 100 * MIB
    assert document["agent"]["config"] == {"effective": "abc", "attempted": "abc", "error": None}
    assert json.decode(json.encode(document)) == document


def test_a_device_that_does_not_answer() -> None:
    """It counts, with since, reason, the next attempt and what the catalogue advises."""
    image = scene()
    image.set_state("press-01", "offline", now=NOW - 5000, reason="no answer", causes=("silent",))
    document = status(image, attempts={"press-01": NOW + 3000})
    assert found(document) == [("device.offline", "press-01", True)]
    assert document["wrong"][0]["since"] == NOW - 5000
    assert document["wrong"][0]["do"] == document["devices"]["press-01"]["do"] == EVENTS["device.offline"].remedy
    assert document["devices"]["press-01"]["next_attempt"] == NOW + 3000


def test_a_reason_that_tells_what_to_do_is_heeded() -> None:
    """The hint of a permanent error is closer to the matter than the catalogue's general advice."""
    image = scene()
    reason = "certificate is not trusted -> edge-agent trust press-01"
    image.set_state("press-01", "offline", now=NOW, reason=reason, causes=("misconfigured",))
    assert status(image)["wrong"][0]["do"] == "edge-agent trust press-01"


def test_a_disabled_device_is_not_missing() -> None:
    """It is listed and nothing is wrong with it."""
    image = scene()
    image.set_state("press-01", "offline", now=NOW, reason="disabled", causes=("disabled",))
    assert status(image)["wrong"] == []


def test_bad_tags_are_grouped_by_reason_and_do_not_count() -> None:
    """Single bad tags are shown, by reason with examples; a device of which nothing can be read counts."""
    image = scene()

    def read(*bad: str) -> None:
        readings = [
            Reading(tag, None, NOW, "bad", code="BadOutOfRange", reason="illegal address")
            if tag in bad
            else Reading(tag, 1, NOW, "good")
            for tag in ("temperature", "count", "serial")
        ]
        image.update(Batch("press-01", NOW, readings, bad=len(bad)))
        image.set_state("press-01", "degraded", now=NOW, reason=f"{len(bad)} of 3 tags are bad", causes=("tags",))

    read("count", "serial")
    document = status(image)
    assert document["devices"]["press-01"]["bad"] == [
        {"reason": "illegal address", "code": "BadOutOfRange", "tags": 2, "examples": ["count", "serial"]}
    ]
    assert found(document) == [("device.degraded", "press-01", False)]
    assert document["wrong"][0]["do"] == DEGRADED["tags"]
    read("temperature", "count", "serial")
    assert found(status(image)) == [("device.degraded", "press-01", True)]


def test_a_late_device_counts_and_one_held_up_is_shown() -> None:
    """Slow by itself: degraded, counts. Late because of a neighbour: online, shown with the neighbour to mend."""
    image = scene()
    image.set_state("press-01", "degraded", now=NOW, reason="slower", achieved_ms=2400, causes=("late",))
    assert found(status(image)) == [("device.degraded", "press-01", True)]
    image.set_state("press-01", "online", now=NOW, reason="unit 3 …", achieved_ms=1100, causes=("neighbour",))
    document = status(image)
    assert found(document) == [("device.degraded", "press-01", False)]
    assert document["wrong"][0]["do"] == DEGRADED["neighbour"]


@pytest.mark.parametrize(("seconds", "counts"), [(10, False), (11, True)])
def test_a_publisher_may_be_away_for_ten_seconds(seconds: int, *, counts: bool) -> None:
    """Between two connections nobody is to be woken; the next attempt is told."""
    away = route(state="offline", reason="refused", since=NOW - seconds * 1000, next_attempt=NOW + 900)
    document = status(None, away)
    assert found(document) == [("publisher.offline", "plant", counts)]
    assert document["publishers"]["plant"]["next_attempt"] == NOW + 900


def test_what_a_broker_refuses_is_shown() -> None:
    """An access rule that keeps one device's records back does not count, and is named with the device."""
    document = status(None, route(refused={"press-01": "not authorised to publish here"}))
    assert found(document) == [("publisher.refused", "plant", False)]
    assert document["publishers"]["plant"]["refused"] == {"press-01": "not authorised to publish here"}
    assert document["wrong"][0]["costs"] == [{"kind": "refused", "count": 1}]
    beside = status(None, route(refused={"": "not authorised to publish here: edge/agents/gw/status"}))
    assert found(beside) == [("publisher.refused", "plant", False)]
    assert beside["wrong"][0]["costs"] == []


def test_what_loses_data_comes_first() -> None:
    """A refusing disk, losses, what fills, the disk: then who is away; then the clock."""
    image = scene(attempted="def", error="agent.yaml:3: …")
    image.set_state("press-01", "offline", now=NOW, reason="no answer", causes=("silent",))
    lost = Lost(records=1320, readings=9000, from_ts=NOW - 9000, to_ts=NOW - 100)
    away = route(
        state="offline", reason="refused", since=NOW - 90_000, conflict="S2", lost_at=NOW - 50,
        quarantined_at=NOW - 70, room_seconds=600,
        stats={
            "lost": lost, "bytes": 99 * MIB, "full": True, "quarantined": 2, "committing": False,
            "refusal": "disk full -> free disk space",
        },
    )  # fmt: skip
    filling = route(name="cloud", stats={"bytes": 71 * MIB})
    document = status(image, away, filling, synced=False, free_disk=100 * MIB, disk_floor=200 * MIB)
    assert found(document) == [
        ("outbox.disk_refused", "plant", True), ("outbox.dropped", "plant", True),
        ("publisher.quarantined", "plant", True), ("outbox.filling", "cloud", True), ("disk.low", None, True),
        ("publisher.conflict", "plant", True), ("publisher.offline", "plant", True),
        ("device.offline", "press-01", True), ("config.rejected", None, True), ("agent.clock_unsynced", None, True),
    ]  # fmt: skip
    assert all(one["do"] for one in document["wrong"])
    assert (document["wrong"][0]["why"], document["wrong"][0]["do"]) == ("disk full", "free disk space")
    assert document["publishers"]["plant"]["room_seconds"] is None, "the disk's room is not memory's"
    assert document["publishers"]["plant"]["lost"] == {
        "records": 1320, "readings": 9000, "from": NOW - 9000, "to": NOW - 100, "at": NOW - 50,
    }  # fmt: skip


def test_yesterdays_losses_are_history() -> None:
    """What was lost or put aside more than a day ago does not count; what is in quarantine is still shown."""
    day = 25 * 3_600_000
    old = route(
        lost_at=NOW - day, quarantined_at=NOW - day, stats={"lost": Lost(5, 5, NOW - day, NOW - day), "quarantined": 1}
    )
    assert found(status(None, old)) == [("publisher.quarantined", "plant", False)]
