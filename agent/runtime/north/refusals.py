"""Devices of which the broker has lately refused something. Pure but for the clock."""

from __future__ import annotations

from agent.core.clock import Clock

#: A refusal counts for so long: what was refused is tried again sooner, seconds.
LATELY = 600.0


class Refusals:
    """Of one route: an access rule for a topic, mostly."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._met: dict[str, tuple[float, str]] = {}

    def met(self, device: str, reason: str) -> None:
        """Something of this device was refused; of none: what is said beside the readings."""
        self._met[device] = (self._clock.monotonic(), reason)

    @property
    def lately(self) -> dict[str, str]:
        """The devices, and why."""
        since = self._clock.monotonic() - LATELY
        return {device: reason for device, (at, reason) in self._met.items() if at >= since}
