"""PostgreSQL."""

from __future__ import annotations

from agent.core.errors import PermanentError
from agent.historian.config import HistorianSettings
from agent.historian.stores.port import Store


def postgres_store(settings: HistorianSettings) -> Store:
    """Not there yet."""
    raise PermanentError(f"{settings.shown}: PostgreSQL is not supported yet", "use sqlite:///plant.db")
