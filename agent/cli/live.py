"""`edge-agent check --live`: what the devices themselves say about the configuration."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent import __version__
from agent.config.model import Config
from agent.core.clock import SystemClock
from agent.core.flow import Reading
from agent.core.image import AgentInfo, Image
from agent.core.ports import Bus
from agent.core.text import harmless
from agent.runtime.context import RunningContext
from agent.telemetry.logging import configure
from agent.workbench.live import Visit, visit_all

_MOST = 50  #: lines for one device; the numbers below the table count all


def read_once(config: Config, console: Console) -> int:
    """Connect to every enabled device and read every tag once. 0: none is bad, 2: some are, or a device is silent."""
    configure(level="error", style="console", stream=sys.stderr)
    image = Image(AgentInfo(config.agent.id, __version__, ""))
    buses: dict[str, Bus] = {}
    context = RunningContext(image, config.agent.data_dir, SystemClock(), buses)
    context.begin()
    visits = asyncio.run(visit_all(config, context, buses))
    for visit in visits:
        console.print(table_of(visit))
        console.print(line_of(visit), markup=False, soft_wrap=True)
    return 0 if all(visit.good for visit in visits) else 2


def table_of(visit: Visit) -> Table:
    """Tags with what they said; those in trouble first."""
    columns = ("tag", "value", "unit", "quality", "why", *(("node",) if visit.nodes else ()))
    table = Table(*columns, box=None, pad_edge=False, title=visit.device)
    table.title_justify = "left"
    missing = ("not read", visit.error) if visit.error else ("silent", "no answer in time")
    rows: list[Sequence[str]] = [(tag, "", "", *missing) for tag in visit.silent]
    ranked = sorted(visit.readings.items(), key=lambda item: _trouble(item[1], doubtful=item[0] in visit.doubtful))
    rows += [(tag, *_cells(reading, doubtful=tag in visit.doubtful)) for tag, reading in ranked]
    for row in rows[:_MOST]:
        node = (visit.nodes.get(row[0], ""),) if visit.nodes else ()
        table.add_row(*(Text(harmless(cell)) for cell in (*row, *node)))
    if len(rows) > _MOST:
        table.add_row("…", "", "", "", f"and {len(rows) - _MOST} more")
    return table


def line_of(visit: Visit) -> str:
    """The device in one line."""
    bad = sum(reading.quality == "bad" for reading in visit.readings.values())
    counts = f"{len(visit.readings) - bad} read, {bad} bad, {len(visit.silent)} silent"
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
