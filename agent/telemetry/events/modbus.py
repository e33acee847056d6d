"""Modbus."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # modbus
    "modbus.connected": Event("info", "A Modbus connection or bus is open, and a unit answers on it."),
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
    "modbus.dtu_unknown": Event("warning", "An unknown device has dialled in; `said` are its first bytes."),
    "modbus.dtu_refused": Event("warning", "Somebody who dialled in was disconnected: `reason`."),
    "modbus.dtu_taken_over": Event(
        "warning",
        "A DTU dialled in while a connection with its registration (`before`) stood; the newer (`peer`) replaced it.",
        "A DTU that came back has the address it had, or another one of its operator's. If `peer` is neither, somebody "
        "pretends to be it: `allow:` keeps it out.",
    ),
    "modbus.closed_by_peer": Event(
        "info",
        "A device or gateway closed a connection on which it had answered; it is made anew at once.",
    ),
    "modbus.deaf_after_connect": Event(
        "warning",
        "A device ignored what it was asked for `seconds` after the connection was made, then answered.",
        "Set `workarounds: {pause_after_connect: …}` a little longer than `seconds`.",
    ),
    "modbus.answer_late": Event(
        "warning",
        "An answer came `took_s` seconds after its request, when nobody waited for it any more.",
        "Raise `timeout` of the device above `took_s`.",
    ),
    "modbus.gateway_slow": Event(
        "warning",
        "The gateway waits for a silent unit longer than `timeout` and holds up the others meanwhile; from now on the "
        "agent waits `waits_s` seconds for it.",
        "Lower the gateway's own response time-out, or set `timeout` of its devices above it.",
    ),
    "modbus.frame_unasked": Event(
        "info",
        "A whole frame came that the agent did not ask for. What is read within 10 s of it is uncertain: another "
        "master may ask on this bus.",
    ),
    "modbus.answer_doubled": Event(
        "info",
        "An answer came twice, as some converters send it. The second one is passed over, the values are good; from "
        "then on the line is given the time for it before anything else is asked.",
    ),
    "modbus.bus_shared": Event(
        "warning",
        "Whole frames that the agent did not ask for: another master asks on this bus, and its answers cannot be told "
        "from ours. Values of the bus are uncertain until there was none for a minute.",
        "Let one master alone ask: take the other one away, or give the agent a connection of its own.",
    ),
    "modbus.bus_alone": Event("info", "No other master was heard on this bus for a minute; its values are good again."),
    "modbus.unit_silent": Event("warning", "A unit does not answer; it is probed with back-off."),
}
