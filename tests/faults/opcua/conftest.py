"""The stage of the southbound faults: an agent, a broker, an ear, and a hall of OPC UA servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.southbound.conftest import Running, hall, opcua, running, stage
from tests.support.mosquitto import Mosquitto

__all__ = ["hall", "opcua", "running"]


@pytest.fixture
def brisk(tmp_path: Path, mosquitto: Mosquitto) -> Running:
    """As `running`, with an agent that is quicker to notice and to try again."""
    return stage(tmp_path, mosquitto, "tests.faults.opcua.brisk")
