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
            if begin == end and begin[1]:
                continue  # all of it is skipped
            if begin[0] >= end[0]:
                raise ValueError(f"{row['to']} is not after {row['from']}")
        except (ValueError, OverflowError) as error:
            mistakes.append(Mistake(str(path), rows.line_num, str(error), "write 2026-11-28 12:00"))
            continue
        stops.append(Stop(begin[0], end[0], (row.get("device") or "*").strip() or "*", (row["reason"] or "").strip()))
    if mistakes:
        raise ConfigError.of(mistakes)
    return sorted(stops)


def _instant(text: str | None, zone: str) -> tuple[int, bool]:
    """The instant, and whether it is the one at which the clock was put forward: times that it skips are that one."""
    at = dt.datetime.fromisoformat((text or "").strip())
    if at.tzinfo is not None:
        return round(at.timestamp() * 1000), False
    at = at.replace(tzinfo=ZoneInfo(zone))
    after = at.replace(fold=1)
    if after.timestamp() >= at.timestamp():
        return round(at.timestamp() * 1000), False
    minutes = range(round(after.timestamp()) // 60, round(at.timestamp()) // 60 + 1)
    there = (dt.datetime.fromtimestamp(60 * minute, at.tzinfo) for minute in minutes)
    return round(next(one for one in there if one.utcoffset() == after.utcoffset()).timestamp() * 1000), True
