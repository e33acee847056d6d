"""What these tests read comes in one piece, however busy the machine is."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _whole_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan hands on what it has after 100 ms of real time; these tests are about what a whole one says."""
    monkeypatch.setattr("agent.collectors.common.scanner.SCAN_YIELD_SECONDS", 60.0)
