"""The stage of the cases from the field: an agent, a broker, an ear, and a hall of OPC UA servers."""

from __future__ import annotations

from tests.faults.southbound.conftest import hall, running

__all__ = ["hall", "running"]
