"""The catalogue of log events: name → level and meaning. Names are low-cardinality; what differs goes into fields.

State changes are logged once; repeats are counted and logged at most once a minute, later every ten (see `Repeats`).
A test holds every event named in the code against this table, and docs/events.md is made from it.
"""

from __future__ import annotations

from agent.telemetry.events import devices, historian, modbus, opcua, outbox, process, publishers, sparkplug
from agent.telemetry.events.event import Event, Level

EVENTS: dict[str, Event] = {
    **process.EVENTS,
    **devices.EVENTS,
    **modbus.EVENTS,
    **opcua.EVENTS,
    **outbox.EVENTS,
    **publishers.EVENTS,
    **sparkplug.EVENTS,
    **historian.EVENTS,
}

__all__ = ["EVENTS", "Event", "Level"]
