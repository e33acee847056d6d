"""The historian as its user runs it: a process of its own, from a configuration file, and its database to look at."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.support.agent import AgentProcess
from tests.support.postgres import Database


class HistorianProcess(AgentProcess):
    """`edge-agent historian`. Everything else is as of an agent's process: start, stop, kill, events, metrics."""

    def __init__(
        self, folder: Path, *, url: str, database: str = "sqlite:///plant.db", source: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, publishers={}, devices={})
        self.log_path = folder / "historian.log"
        self.config = folder / "historian.yaml"
        self.database = self.data_dir / "plant.db"
        self._server = Database(database) if database.startswith("postgresql:") else None
        self.configure(
            {
                "historian": {"id": "hist-01", "data_dir": str(self.data_dir), "database": database} | settings,
                "sources": {"plant": {"type": "mqtt", "url": url} | (source or {})},
                "http": {"port": self.port},
            }
        )

    @property
    def _argv(self) -> Sequence[str]:
        return (sys.executable, "-m", "agent", "historian", "-c", str(self.config))

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """What a reader of the database sees now."""
        if self._server is not None:
            try:
                return self._server.sql(text)
            except psycopg.Error as error:  # not there yet, or killed by the test
                raise AssertionError(str(error)) from error
        if not self.database.exists():
            return []
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)
        try:
            return db.execute(text).fetchall()
        except sqlite3.OperationalError as error:  # the tables are not there yet
            raise AssertionError(str(error)) from error
        finally:
            db.close()

    def stored(self) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Readings by record; fails where one stands twice. Values are numbers."""
        rows = self.sql(
            "SELECT s.device, s.epoch, r.seq, t.name, r.value, r.part, r.position FROM reading r"
            " JOIN stream s ON s.id = r.stream JOIN tag t ON t.id = r.tag"
        )
        assert len({(*row[:3], *row[5:]) for row in rows}) == len(rows), "a reading stands twice"
        records: dict[tuple[str, str, int], dict[str, Any]] = {}
        for device, epoch, seq, name, value, *_ in rows:
            records.setdefault((device, epoch, seq), {})[name] = value
        return records

    def missing(self) -> list[tuple[Any, ...]]:
        """The view, as far as numbers go."""
        return self.sql("SELECT device, epoch, from_seq, to_seq, repair FROM missing ORDER BY 1, 2, 3")


def heard_by(consumer: Any) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The same of an independent consumer at the broker."""
    return {(said.device, said.epoch, said.seq): said.values for said in consumer.fresh}
