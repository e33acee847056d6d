"""The hourly line."""

from __future__ import annotations

from agent.core.image import AgentInfo, Image
from agent.runtime.status.summary import Summary
from agent.telemetry import metrics


def test_an_hour_in_one_line() -> None:
    """It counts what came since the last one, over all devices and publishers; disabled devices are not missing."""
    image = Image(AgentInfo("gw", "0", "h"))
    for name in ("a", "b", "off"):
        image.add(name, location=["x"], tags=[], cat=1, now=0)
    image.set_state("a", "online", now=1)
    image.set_state("off", "offline", now=1, reason="disabled", causes=("disabled",))
    metrics.READINGS.labels("a", "good").inc(1000)
    summary = Summary()
    metrics.READINGS.labels("a", "good").inc(7)
    metrics.READINGS.labels("summary-b", "bad").inc(2)
    metrics.PUBLISHED.labels("summary-p", "ok").inc(5)
    metrics.PUBLISHED.labels("summary-p", "retried").inc(1)
    metrics.OUTBOX_DROPPED.labels("summary-p", "dropped").inc(3)
    metrics.OUTBOX_DROPPED.labels("summary-p", "quarantined").inc(1)
    assert summary.take(image, 4) == {
        "devices_online": 1, "devices": 2, "readings": 9, "bad": 2, "published": 5, "backlog": 4, "lost": 3,
        "quarantined": 1,
    }  # fmt: skip
    assert summary.take(image, 0)["readings"] == 0


def test_what_ended_within_the_hour_counts() -> None:
    """A removed device takes its series along, not what it has brought; nor does one of the same name that follows."""
    image = Image(AgentInfo("gw", "0", "h"))
    metrics.READINGS.labels("bad", "good").inc(100)  # no name of a device means a quality
    summary = Summary()
    metrics.READINGS.labels("bad", "good").inc(7)
    metrics.READINGS.labels("bad", "bad").inc(3)
    metrics.forget("device", "bad")
    left = [one for one in metrics.READINGS.series() if one.labels["device"] == "bad"]
    assert not left
    metrics.READINGS.labels("bad", "good").inc(1)
    found = summary.take(image, 0)
    assert (found["readings"], found["bad"]) == (11, 3)
    assert summary.take(image, 0)["readings"] == 0
    metrics.forget("device", "bad")
    assert summary.take(image, 0)["readings"] == 0
