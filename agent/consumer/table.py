"""The newest value of every tag, as a consumer may believe it. Pure.

Historical records never change a current value. A good value of a device or an agent that is not there any more is not
good: `Row.trust` says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.consumer.contract import AgentStatus, Decoded, DeviceStatus, Readings


@dataclass(slots=True)
class TableRow:
    """The newest reading of one tag."""

    tag: str
    value: Any
    quality: str
    ts: int
    unit: str | None = None
    label: str | None = None
    code: str | None = None
    why: str | None = None
    src: int | None = None


@dataclass
class DeviceTable:
    """One device."""

    agent: str
    device: str
    rows: dict[str, TableRow] = field(default_factory=dict)
    status: DeviceStatus | None = None


class Table:
    """Feed it what `Audit.feed` gives back: news only, so that a repetition cannot bring an old value."""

    def __init__(self) -> None:
        self.devices: dict[str, DeviceTable] = {}  #: by prefix of their topics
        self.agents: dict[str, AgentStatus] = {}
        self._statuses: dict[str, DeviceStatus] = {}

    def apply(self, message: Decoded | None, topic: str) -> None:
        """Take over one message."""
        prefix = topic.rpartition("/")[0]
        if isinstance(message, Readings) and not message.historical:
            self._update(prefix, message)
        elif isinstance(message, AgentStatus):
            self._agent(message)
        elif isinstance(message, DeviceStatus):
            self._statuses[prefix] = message
            if prefix in self.devices:
                self.devices[prefix].status = message
            if message.state == "removed":
                self.devices.pop(prefix, None)
                del self._statuses[prefix]

    def trust(self, device: DeviceTable) -> str | None:
        """None where its values may be believed as they stand, else why not.

        A device's status counts only if its session is its agent's, and the agent is online.
        """
        agent = self.agents.get(device.agent)
        if agent is None:
            return "agent unknown"
        if agent.state == "offline":
            return "agent offline"
        status = device.status
        if status is not None and status.session == agent.session and status.state == "offline":
            return f"device offline: {status.reason}" if status.reason else "device offline"
        return None

    def _agent(self, message: AgentStatus) -> None:
        known = self.agents.get(message.agent)
        late_will = message.state == "offline" and known is not None and known.session != message.session
        if not late_will:
            self.agents[message.agent] = message

    def _update(self, prefix: str, message: Readings) -> None:
        device = self.devices.get(prefix)
        if device is None:
            device = self.devices[prefix] = DeviceTable(message.agent, message.device)
            device.status = self._statuses.get(prefix)
        for reading in message.readings:
            device.rows[reading.tag] = TableRow(
                reading.tag, reading.value, reading.quality, reading.ts, reading.unit, reading.label, reading.code,
                reading.why, reading.src,
            )  # fmt: skip
