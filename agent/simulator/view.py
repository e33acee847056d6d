"""What a demo shows: a live table for people, plain lines for a pipe. Both show only what the subscriber heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from agent.consumer.table import DeviceTable, Table, TableRow

_STYLES = {"good": "green", "uncertain": "yellow", "bad": "bold red"}
PLAIN_EVERY = 2.0  #: seconds between two lines of totals in a pipe


class View(Protocol):
    """A demo's outlet."""

    def step(self, name: str, text: str) -> None:
        """A step of the set-up is done."""

    def event(self, at: float, text: str) -> None:
        """Something happened `at` seconds after the beginning."""

    def show(self, table: Table, now_ms: int, at: float, totals: Mapping[str, object]) -> None:
        """The state of things; called a few times a second."""

    def close(self) -> None:
        """The table is shown no more; events are still said."""


def totals_line(totals: Mapping[str, object]) -> str:
    """`name=value`, in order."""
    return " ".join(f"{name}={value}" for name, value in totals.items())


def value_text(row: TableRow) -> str:
    """A value, with its label where it has one."""
    if row.value is None:
        return "-"
    text = {True: "yes", False: "no"}[row.value] if isinstance(row.value, bool) else str(row.value)
    return f"{text} ({row.label})" if row.label else text


def quality_text(row: TableRow, doubt: str | None) -> str:
    """The quality as a consumer may believe it: a good value of a device that is away is not good."""
    if doubt is not None and row.quality != "bad":
        return "stale"
    return f"{row.quality} {row.code}" if row.code else row.quality


def age_text(row: TableRow, now_ms: int) -> str:
    """Seconds since the value was true."""
    return f"{max(0, now_ms - row.ts) / 1000:.1f} s"


class PlainView:
    """Lines, for a pipe or a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = -PLAIN_EVERY
        self._last: tuple[Table, int] | None = None
        self._closed = False
        self._doubts: dict[str, str | None] = {}

    def step(self, name: str, text: str) -> None:
        self._line(f"{name}: {text}")

    def event(self, at: float, text: str) -> None:
        self._line(f"[{at:6.1f}] {text}")

    def show(self, table: Table, now_ms: int, at: float, totals: Mapping[str, object]) -> None:
        if self._closed:
            return
        self._last = table, now_ms
        for prefix, device in table.devices.items():
            doubt = table.trust(device)
            if self._doubts.get(prefix, doubt) != doubt:
                bad = sum(row.quality == "bad" for row in device.rows.values())
                self.event(at, f"subscriber sees {device.device} {doubt or 'online'}, {bad} of {len(device.rows)} bad")
            self._doubts[prefix] = doubt
        if at - self._said >= PLAIN_EVERY:
            self._said = at
            self.event(at, totals_line(totals))

    def close(self) -> None:
        """The newest value of every tag, once."""
        if self._last is None or self._closed:
            return
        self._closed = True
        table, now_ms = self._last
        for device in table.devices.values():
            doubt = table.trust(device)
            for row in device.rows.values():
                unit = f" {row.unit}" if row.unit else ""
                quality, age = quality_text(row, doubt), age_text(row, now_ms)
                self._line(f"{device.device}/{row.tag} = {value_text(row)}{unit} {quality}, {age} old")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveView:
    """A table that changes in place, events below it."""

    EVENTS = 6  #: lines of events that stay visible

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._events: list[str] = []
        self._closed = False

    def step(self, name: str, text: str) -> None:
        self._console.print(Text.assemble(("ready ", "green"), (f"{name:<11} ", "bold"), text))

    def event(self, at: float, text: str) -> None:
        self._events = [*self._events, f"{at:6.1f} s  {text}"][-self.EVENTS :]
        if self._closed:
            self._console.print(Text(self._events[-1], style="cyan"))

    def show(self, table: Table, now_ms: int, at: float, totals: Mapping[str, object]) -> None:
        drawn = Group(
            Columns([_draw(device, table.trust(device), now_ms) for device in table.devices.values()]),
            Text(f"{at:6.1f} s  {totals_line(totals)}", style="bold"),
            Text("\n".join(self._events), style="cyan"),
        )
        if self._closed:
            return
        if self._live is None:
            self._live = Live(drawn, console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
            self._live.start()
        self._live.update(drawn, refresh=True)

    def close(self) -> None:
        self._closed = True
        if self._live is not None:
            self._live.stop()
            self._live = None


def _draw(device: DeviceTable, doubt: str | None, now_ms: int) -> RichTable:
    state, style = ("online", "green") if doubt is None else (doubt, "bold red")
    drawn = RichTable(
        title=Text.assemble((f"{device.device}  ", "bold"), (state, style)),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    columns: dict[str, dict[str, Any]] = {
        "tag": {"no_wrap": True},
        "value": {"justify": "right", "no_wrap": True, "min_width": 12, "max_width": 24},
        "unit": {},
        "quality": {"no_wrap": True, "min_width": 9, "max_width": 22},
        "age": {"justify": "right", "no_wrap": True, "min_width": 6},
    }
    for name, options in columns.items():
        drawn.add_column(name, **options)
    for row in device.rows.values():
        quality = quality_text(row, doubt)
        drawn.add_row(
            row.tag, Text(value_text(row)), row.unit or "", Text(quality, style=_STYLES.get(quality, "bold red")),
            age_text(row, now_ms),
        )  # fmt: skip
    return drawn


def view_for(console: Console) -> View:
    """The live table on a terminal, plain lines elsewhere."""
    return LiveView(console) if console.is_terminal else PlainView(console)
