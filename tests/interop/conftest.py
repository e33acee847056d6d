"""An agent and the machines it reads, as in tests/faults."""

from __future__ import annotations

from tests.support.load import make_agent, start_load

__all__ = ["make_agent", "start_load"]
