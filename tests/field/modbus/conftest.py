"""The stage of the cases from the field: an agent, a broker, an ear, and peers that say what a test scripts."""

from __future__ import annotations

from tests.faults.southbound.conftest import running

__all__ = ["running"]
