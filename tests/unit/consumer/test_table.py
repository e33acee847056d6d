from __future__ import annotations

import msgspec
import pytest

from agent.consumer.audit import Audit
from agent.consumer.table import Table

PREFIX = "edge/site/press"


class Screen:
    def __init__(self):
        self.audit = Audit()
        self.table = Table()

    def feed(self, topic, body, *, retained=False):
        self.table.apply(self.audit.feed(topic, msgspec.json.encode(body), retained=retained), topic)

    def record(self, seq, value, **extra):
        reading = {"tag": "t", "value": value, "ts": seq * 10, "quality": "good", "unit": "Cel"}
        body = {
            "schema": "edge.readings.v1", "agent": "gw", "device": "press", "epoch": "E", "seq": seq, "low": 1,
            "ts": 1, "cat": 1, "readings": [reading],
        }  # fmt: skip
        self.feed(f"{PREFIX}/readings", body | extra)

    @property
    def row(self):
        return self.table.devices[PREFIX].rows["t"]

    @property
    def trust(self):
        return self.table.trust(self.table.devices[PREFIX])


@pytest.fixture
def screen():
    made = Screen()
    made.feed("edge/agents/gw/status", {"state": "online", "session": "S1"})
    return made


def test_newest_live_value_stands(screen):
    """Each live record replaces the one before; several readings of a tag count in their order."""
    screen.record(1, 10)
    screen.record(2, 20)
    assert (screen.row.value, screen.row.unit, screen.row.ts) == (20, "Cel", 20)


def test_history_and_repetitions_never_change_the_present(screen):
    """What the backlog says was true once; what is said twice is not new."""
    screen.record(5, 50)
    screen.record(3, 30, historical=True)
    screen.record(4, 40)
    screen.record(5, 50)
    assert screen.row.value == 40


def test_device_status_counts_only_in_the_agents_session(screen):
    """Offline of an older session is a shadow; offline of this one ends the trust."""
    screen.record(1, 10)
    assert screen.trust is None
    screen.feed(f"{PREFIX}/status", {"state": "offline", "session": "S0", "reason": "old"})
    assert screen.trust is None
    screen.feed(f"{PREFIX}/status", {"state": "offline", "session": "S1", "reason": "cable"})
    assert screen.trust == "device offline: cable"


def test_agent_offline_ends_all_trust_but_not_by_a_late_will(screen):
    """The will of the session before changes nothing."""
    screen.record(1, 10)
    screen.feed("edge/agents/gw/status", {"state": "offline", "session": "S0"})
    assert screen.trust is None
    screen.feed("edge/agents/gw/status", {"state": "offline", "session": "S1"})
    assert screen.trust == "agent offline"


def test_removed_devices_leave_the_table(screen):
    """What is no longer configured is not shown."""
    screen.record(1, 10)
    screen.feed(f"{PREFIX}/status", {"state": "removed", "session": "S1"})
    assert PREFIX not in screen.table.devices


def test_a_status_may_come_before_the_readings(screen):
    """A retained status of a device is kept for the device's first record."""
    screen.feed(f"{PREFIX}/status", {"state": "offline", "session": "S1"})
    screen.record(1, None)
    assert screen.trust == "device offline"
