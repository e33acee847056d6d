"""`edge-agent check --live`: what the devices themselves say about the configuration."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.context import context_of
from agent.cli.tables import show_table
from agent.config.model import Config
from agent.core.flow import Reading
from agent.core.text import harmless
from agent.telemetry.logging import configure
from agent.workbench.live import Visit, visit_all

_MOST = 50  #: lines for one device; the numbers below the table count all


def read_once(config: Config, chosen: Sequence[str]) -> list[Visit]:
    """Connect to the chosen devices, of them those that are enabled, and read every tag once."""
    configure(level="error", style="console", stream=sys.stderr)
    context = context_of(config.agent.id, config.agent.data_dir)
    context.begin()
    some = config.model_copy(update={"devices": {name: config.devices[name] for name in chosen}})
    return asyncio.run(visit_all(some, context, context.buses))


def show(visit: Visit, console: Console, *, all_tags: bool) -> None:
    """What one device had to say, as a table and a line."""
    show_table(console, table_of(visit, None if all_tags else _MOST))
    console.print(line_of(visit), markup=False, soft_wrap=True)


def as_data(visit: Visit) -> dict[str, object]:
    """The same as it stands in `--json`."""
    return {
        "error": visit.error,
        "silent": list(visit.silent),
        "doubtful": sorted(visit.doubtful),
        "most_found": visit.most_found,
        "readings": [
            {
                "tag": tag, "value": reading.value, "quality": reading.quality, "ts": reading.ts,
                "unit": reading.unit, "code": reading.code, "reason": reading.reason, "node": visit.nodes.get(tag),
            }
            for tag, reading in visit.readings.items()
        ],
    }  # fmt: skip


def table_of(visit: Visit, most: int | None) -> Table:
    """Tags with what they said; those in trouble first."""
    columns = ("tag", "value", "unit", "quality", "why", *(("node",) if visit.nodes else ()))
    table = Table(*columns, box=None, pad_edge=False, title=visit.device)
    table.title_justify = "left"
    missing = ("not read", visit.error) if visit.error else ("silent", "no answer in time")
    rows: list[Sequence[str]] = [(tag, "", "", *missing) for tag in visit.silent]
    ranked = sorted(visit.readings.items(), key=lambda item: _trouble(item[1], doubtful=item[0] in visit.doubtful))
    rows += [(tag, *_cells(reading, doubtful=tag in visit.doubtful)) for tag, reading in ranked]
    for row in rows[:most]:
        node = (visit.nodes.get(row[0], ""),) if visit.nodes else ()
        table.add_row(*(Text(harmless(cell)) for cell in (*row, *node)))
    if most is not None and len(rows) > most:
        table.add_row("…", "", "", "", f"and {len(rows) - most} more; --all shows them")
    return table


def line_of(visit: Visit) -> str:
    """The device in one line."""
    bad = sum(reading.quality == "bad" for reading in visit.readings.values())
    counts = f"{len(visit.readings) - bad} read, {bad} bad, {len(visit.silent)} silent"
    if visit.most_found is not None:
        counts += f"; it found as many tags as `browse: {{max_nodes: {visit.most_found}}}` allows, there may be more"
    return harmless(f"{visit.device}: {visit.error}" if visit.error else f"{visit.device}: {counts}")


def _trouble(reading: Reading, *, doubtful: bool) -> int:
    return 2 if doubtful else ("bad", "uncertain", "", "good").index(reading.quality)


def _cells(reading: Reading, *, doubtful: bool = False) -> Sequence[str]:
    value = "" if reading.value is None else str(reading.value)
    if isinstance(reading.value, bool):
        value = value.lower()
    why = " ".join(part for part in (reading.code, reading.reason) if part)
    if doubtful:
        why = "another byte order? edge-agent read DEVICE TAG --orders"
    return value, reading.unit or "", reading.quality, why
