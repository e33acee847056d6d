"""An agent and the machines it reads."""

from __future__ import annotations

from tests.support.load import make_agent, start_load

__all__ = ["make_agent", "start_load"]
