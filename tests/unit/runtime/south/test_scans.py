"""What a device's intervals ask for, and who is told of its scans."""

from __future__ import annotations

from structlog.testing import capture_logs

from agent.runtime.outlet import Outlet
from agent.runtime.south.scans import Owed


def test_scans_are_due_by_the_clock():
    """The first of each group at once; however rarely it is asked, and nothing where nothing is polled."""
    owed = Owed((1.0, 10.0), 100.0)
    assert [owed.more(100.0), owed.more(100.9), owed.more(101.0), owed.more(109.99), owed.more(130.0)] == [
        2, 0, 1, 8, 21 + 3,
    ]  # fmt: skip
    assert Owed((), 0.0).more(1e6) == 0


def test_each_outbox_that_wants_the_device_counts_its_scans():
    """What one raises costs none of the others."""
    outlet = Outlet()
    counted: list[object] = []

    def broken(*_: object) -> None:
        raise ValueError("full")

    outlet.route("bad", lambda _: True, counted.append, broken)
    undo = outlet.route("plant", lambda name: name == "a", counted.append, lambda *scans: counted.append(scans))
    outlet.route("old", lambda _: True, counted.append)
    with capture_logs() as logs:
        outlet.at("a").scanned("a", 3, 2, 1)
        outlet.at("b").scanned("b", 1, 1, 0)
    assert counted == [("a", 3, 2, 1)]
    assert [line["event"] for line in logs] == ["component.bug"]
    undo()
    outlet.at("a").scanned("a", 1, 1, 0)
    assert len(counted) == 1
