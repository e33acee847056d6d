"""Why a database cannot be had now."""

from __future__ import annotations

from agent.core.errors import TransientError


class StoreAway(TransientError):
    """The database is not there, or broke off: open it again later. What was not committed is written again."""
