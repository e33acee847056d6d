"""The stage of the southbound faults: an agent, a broker, an ear, and a hall of OPC UA servers."""

from __future__ import annotations

from tests.faults.southbound.conftest import hall, opcua, running

__all__ = ["hall", "opcua", "running"]
