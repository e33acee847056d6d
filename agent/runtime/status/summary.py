"""What an hour has brought, in one line: so that silence in the log means something. Pure but for the counters."""

from __future__ import annotations

from agent.core.image import SELF, DeviceImage, Image
from agent.telemetry import metrics
from agent.telemetry.metrics import total


def enabled_devices(image: Image) -> list[DeviceImage]:
    """The devices that are to be read; the agent's own is none of them."""
    return [one for name, one in image.devices.items() if name != SELF and "disabled" not in one.causes]


class Summary:
    """Of the time since it was made, or last asked."""

    def __init__(self) -> None:
        self._before = _counted()

    def take(self, image: Image, backlog: int) -> dict[str, int]:
        """The fields of `agent.summary`, and begin anew. `backlog`: records that wait now."""
        before, self._before = self._before, _counted()
        enabled = enabled_devices(image)
        return {
            "devices_online": sum(device.state == "online" for device in enabled),
            "devices": len(enabled),
            "backlog": backlog,
            **{what: round(now - before[what]) for what, now in self._before.items()},
        }


def _counted() -> dict[str, float]:
    dropped, quarantined = total(metrics.OUTBOX_DROPPED), total(metrics.OUTBOX_DROPPED, reason="quarantined")
    return {
        "readings": total(metrics.READINGS),
        "bad": total(metrics.READINGS, quality="bad"),
        "published": total(metrics.PUBLISHED, result="ok"),
        "lost": dropped - quarantined,
        "quarantined": quarantined,
    }
