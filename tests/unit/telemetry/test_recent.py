"""The newest events in memory."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import msgspec
import pytest
import structlog

from agent.telemetry.logging import configure, get_logger
from agent.telemetry.recent import MOST_BYTES, RECENT, Recent


def put(recent: Recent, event: str = "device.offline", level: str = "warning", **fields: Any) -> None:
    recent(None, level, {"event": event, "level": level, "ts": "2026-11-30T00:00:00.000Z", **fields})


def shown(recent: Recent, **asked: Any) -> list[dict[str, Any]]:
    return [json.loads(msgspec.json.encode(one)) for one in recent.newest(**asked)]


def test_the_newest_first_with_what_the_catalogue_says() -> None:
    """And no more than were asked to be kept."""
    recent = Recent(most=3)
    for at in range(5):
        put(recent, device=f"d{at}", component="device", reason="no answer")
    found = shown(recent)
    assert [one["device"] for one in found] == ["d4", "d3", "d2"]
    assert found[0]["fields"] == {"reason": "no answer"}
    assert found[0]["meaning"].startswith("A device is lost")
    assert found[0]["remedy"].startswith("Check what")
    assert found[0]["ts"] == 1_795_996_800_000


def test_by_level_and_device() -> None:
    """At least that level; a component that is a device's is that device."""
    recent = Recent()
    put(recent, "device.online", "info", device="a")
    put(recent, "device.offline", "warning", device="b")
    put(recent, "component.failed", "error", component="device b")
    assert [one["event"] for one in shown(recent, level="warning")] == ["component.failed", "device.offline"]
    assert [one["event"] for one in shown(recent, device="b")] == ["component.failed", "device.offline"]
    assert "remedy" not in shown(recent, device="a")[0]


@pytest.mark.parametrize(
    "value",
    ["x" * 1_000_000, ["y" * 5000] * 5000, {f"k{at}" * 100: "z" * 5000 for at in range(1000)}, "\ud800" * 3000],
    ids=["text", "list", "mapping", "half characters"],
)
def test_what_a_stranger_wrote_makes_no_event_larger(value: object) -> None:
    """Each has its bound, and is JSON."""
    recent = Recent()
    put(recent, reason=value, other=value)
    assert len(json.dumps(shown(recent)[0]["fields"])) < 3 * MOST_BYTES


def test_what_is_logged_is_in_it_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and users of URLs are taken out, as in the log."""
    before = structlog.get_config()
    try:
        configure(stream=StringIO())
        get_logger("publisher").warning(
            "publisher.offline", publisher="plant", reason="no way to mqtt://me:secret@broker", password="secret"
        )
        (newest, *_) = shown(RECENT)
    finally:
        structlog.configure(**before)
    assert newest["event"] == "publisher.offline"
    assert "secret" not in json.dumps(newest["fields"])
