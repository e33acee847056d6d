"""Modbus."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # modbus
    "modbus.connected": Event("info", "A Modbus connection or bus is open, and somebody answers on it."),
    "modbus.disconnected": Event("warning", "A Modbus connection or bus is lost: `reason`."),
    "modbus.block_refused": Event(
        "warning", "A device refused a block with an exception; it is split to find the bad registers."
    ),
    "modbus.tags_quarantined": Event("warning", "Tags whose registers the device refuses; the others flow."),
    "modbus.tags_recovered": Event("info", "Tags the device refused earlier are readable again."),
    "modbus.learned": Event(
        "info", "What a device refuses has been found out; `yaml` may be pasted under it, and it is not searched again."
    ),
    "modbus.bad_reply": Event("warning", "A reply that does not fit its request was thrown away: `reason`."),
    "modbus.listening": Event("info", "The agent listens for DTUs that dial in."),
    "modbus.dtu_unknown": Event("warning", "Somebody dialled in who is not expected: `said` are its first bytes."),
    "modbus.unit_silent": Event("warning", "A unit does not answer; it is probed with back-off."),
}
