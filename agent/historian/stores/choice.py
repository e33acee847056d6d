"""The store that a configuration names. A database's library is imported only where it is used."""

from __future__ import annotations

from agent.core.errors import PermanentError
from agent.historian.config import HistorianSettings
from agent.historian.stores.port import Store


def store_of(settings: HistorianSettings) -> Store:
    """Not opened yet. Raises PermanentError where its library is not installed."""
    if settings.sqlite:
        from agent.historian.stores.sqlite import SqliteStore

        return SqliteStore(settings.sqlite_path, retention=settings.retention)
    try:
        from agent.historian.stores.postgres import postgres_store
    except ImportError as error:
        reason = f"{settings.shown} needs psycopg, which is not installed ({error})"
        raise PermanentError(reason, "pip install 'psycopg[binary]' (the image has it)") from error

    return postgres_store(settings)
