"""Tables for people on a terminal of any width."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_ANY = 1 << 16  #: columns of a terminal that is wide enough for all


def show_table(console: Console, table: Table) -> None:
    """Nothing is cut. Long cells are wrapped; where not even words and figures fit, the terminal breaks the lines."""
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = not any(" " in str(cell) for cell in column.cells)
    least = Measurement.get(console, console.options.update(max_width=_ANY), table).minimum
    if least > console.width:
        table.width = least
    console.print(table, crop=False)
