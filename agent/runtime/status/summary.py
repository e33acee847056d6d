"""What an hour has brought, in one line: so that silence in the log means something. Pure but for the counters."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter

from agent.core.image import SELF, DeviceImage, Image
from agent.telemetry import metrics

_Series = dict[tuple[str, ...], float]


def series(counter: Counter) -> _Series:
    """The value of each of its series, by label values."""
    (metric,) = counter.collect()
    return {tuple(sample.labels.values()): sample.value for sample in metric.samples if sample.name.endswith("_total")}


def growth(before: _Series, after: _Series, which: Iterable[str] = ()) -> int:
    """By how much they have grown; `which`: only series with one of these label values.

    A series that has begun anew (its device or publisher was replaced) counts from zero.
    """
    wanted = set(which)
    grown = 0.0
    for labels, value in after.items():
        if not wanted or wanted.intersection(labels):
            was = before.get(labels, 0.0)
            grown += value - was if value >= was else value
    return round(grown)


def enabled_devices(image: Image) -> list[DeviceImage]:
    """The devices that are to be read; the agent's own is none of them."""
    return [one for name, one in image.devices.items() if name != SELF and "disabled" not in one.causes]


class Summary:
    """Of the time since it was made, or last asked."""

    def __init__(self) -> None:
        self._readings, self._published, self._dropped = self._look()

    @staticmethod
    def _look() -> tuple[_Series, _Series, _Series]:
        return series(metrics.READINGS), series(metrics.PUBLISHED), series(metrics.OUTBOX_DROPPED)

    def take(self, image: Image, backlog: int) -> dict[str, int]:
        """The fields of `agent.summary`, and begin anew. `backlog`: records that wait now."""
        before = self._readings, self._published, self._dropped
        after = self._readings, self._published, self._dropped = self._look()
        readings, published, dropped = zip(before, after, strict=True)
        enabled = enabled_devices(image)
        return {
            "devices_online": sum(device.state == "online" for device in enabled),
            "devices": len(enabled),
            "readings": growth(*readings),
            "bad": growth(*readings, which=["bad"]),
            "published": growth(*published, which=["ok"]),
            "backlog": backlog,
            "lost": growth(*dropped) - growth(*dropped, which=["quarantined"]),
            "quarantined": growth(*dropped, which=["quarantined"]),
        }
