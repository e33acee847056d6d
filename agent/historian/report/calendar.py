"""Planned stops: a CSV file with the columns `from`, `to`, `reason` and, if not all devices stand still, `device`.

    from,to,reason,device
    2026-11-28 12:00,2026-11-28 13:00,lunch,press-*

Times are those of `plant.time_zone`, but for those with an offset of their own.
"""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.core.errors import ConfigError, Mistake
from agent.historian.report.facts import Stop

_COLUMNS = {"from", "to", "reason"}
_EXAMPLE = "from,to,reason,device / 2026-11-28 12:00,2026-11-28 13:00,lunch,press-*"


def read_calendar(path: Path, zone: str) -> list[Stop]:
    """In order. Raises ConfigError with every line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError(str(path), None, f"cannot be read: {error}", "plant.calendar names a CSV file") from error
    rows = csv.DictReader(lines)
    if not set(rows.fieldnames or ()) >= _COLUMNS:
        raise ConfigError(str(path), 1, "the columns from, to and reason are needed", _EXAMPLE)
    stops, mistakes = [], []
    for row in rows:
        try:
            begin, end = _instant(row["from"], zone), _instant(row["to"], zone)
            if begin >= end:
                raise ValueError(f"{row['to']} is not after {row['from']}")
        except (ValueError, OverflowError) as error:
            mistakes.append(Mistake(str(path), rows.line_num, str(error), "write 2026-11-28 12:00"))
            continue
        stops.append(Stop(begin, end, (row.get("device") or "*").strip() or "*", (row["reason"] or "").strip()))
    if mistakes:
        raise ConfigError.of(mistakes)
    return sorted(stops)


def _instant(text: str | None, zone: str) -> int:
    at = dt.datetime.fromisoformat((text or "").strip())
    return round((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)
