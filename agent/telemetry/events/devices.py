"""Devices, whatever their protocol."""

from __future__ import annotations

from agent.telemetry.events.event import Event

#: What to do about a degraded device, by cause.
DEGRADED = {
    "late": "The device is slower than its interval: give it, or most of its tags, a longer `interval`. Where many are "
    "late at once, this computer is too busy: look at its load.",
    "neighbour": "Mend the unit that `reason` names, or set `enabled: false` for it: its time-outs hold its bus up.",
    "complaint": "The device answers and says itself that it is not well: look at it.",
    "tags": "Correct the address or type of the bad tags, or disable them, unless the device itself says that it has "
    "no value; `edge-agent check --live` reads each once.",
}

EVENTS: dict[str, Event] = {
    # devices
    "device.online": Event("info", "A device answers (again), after `down_for` s and `attempts` failed attempts."),
    "device.offline": Event(
        "warning",
        "A device is lost: `reason`. Its tags were published once as bad.",
        "Check what `reason` names: power, cable, address, unit, user. `edge-agent check --live` reads each tag once. "
        "When it answers it is read again by itself.",
    ),
    "device.unanswered": Event(
        "warning",
        "A device has not answered in time, and did not answer the next request at once. Shown in the status and on "
        "the page until it answers or is lost; never logged.",
        "Check its power, cable and address, unless it answers again by itself within a few seconds.",
    ),
    "device.degraded": Event(
        "warning", "A device is read, but not as configured: `reason`.", " ".join(DEGRADED.values())
    ),
    "device.recovered": Event("info", "A degraded device is read as configured again."),
    "device.removed": Event("info", "A device is no longer configured; its retained topics were cleared."),
    "device.types_learned": Event("info", "The device told us data types; the catalogue has a new version."),
    "bus.silent": Event(
        "warning",
        "No device behind a gateway or on a bus answers. Shown in the status and on the page, above its devices.",
        "Look at what they share first: power and network of the gateway, its address, the cable of the bus. "
        "Its devices are read again by themselves.",
    ),
    "tag.faster_than_ms": Event(
        "warning",
        "The `ts` of so many `tags` (`tag` the first) repeats, and the order within the record counts: they have more "
        "than one value a millisecond, or a source time that was ahead of the agent's clock and fell back. Logged "
        "once for each tag.",
    ),
    "catalogue.not_kept": Event("warning", "The disk refuses a tag catalogue; its version is taken from the time."),
}
