"""The agent and the ear of a consumer, as for devices that fail."""

from __future__ import annotations

from tests.faults.southbound.conftest import hall, running

__all__ = ["hall", "running"]
