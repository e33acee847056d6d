"""The stage of the southbound faults."""

from __future__ import annotations

from tests.faults.southbound.conftest import running

__all__ = ["running"]
