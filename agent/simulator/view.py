"""What a demo shows: a live table for people, plain lines for a pipe. Both show only what the subscriber heard."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from agent.consumer.table import DeviceTable, Table, TableRow

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
    """One screen of 80x24 that changes in place: the story on top, a line a device, totals at the bottom."""

    STORY = 5  #: events that stay visible

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._events: list[str] = []
        self._closed = False
        self._page = ""

    def step(self, name: str, text: str) -> None:
        if name == "page":
            self._page = text.partition(" ")[0]  # stays in sight when the set-up has scrolled away
        self._console.print(Text.assemble(("ready ", "green"), (f"{name:<12} ", "bold"), text))

    def event(self, at: float, text: str) -> None:
        self._events = [*self._events, f"{at:6.1f} s  {text}"][-self.STORY :]
        if self._closed:
            self._console.print(Text(self._events[-1], style="cyan"))

    def show(self, table: Table, now_ms: int, at: float, totals: Mapping[str, object]) -> None:
        if self._closed:
            return
        width = self._console.width
        story = [*self._events, *[""] * (self.STORY - len(self._events))]
        head = f"what happens to the plant{self._page:>{max(0, width - 26)}}"
        lines = [Text(head, style="bold"), *(Text(line, style="cyan") for line in story)]
        lines += [Text(""), Text(f"  {'device':<9}{'state':<14}{'age':>6}  newest values", style="bold")]
        lines += [_line(device, table.trust(device), now_ms) for device in table.devices.values()]
        lines += [Text(""), *_wrapped(f"{at:6.1f} s  {totals_line(totals)}", width)]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        drawn = Group(*lines)
        if self._live is None:
            self._live = Live(drawn, console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
            self._live.start()
        self._live.update(drawn, refresh=True)

    def close(self) -> None:
        self._closed = True
        if self._live is not None:
            self._live.stop()
            self._live = None


def _line(device: DeviceTable, doubt: str | None, now_ms: int) -> Text:
    """One device: state, age of its newest good value, two telling values (those that move)."""
    good = [row for row in device.rows.values() if row.quality == "good"]
    state, style = ("online", "green") if doubt is None else (doubt.partition(":")[0], "bold red")
    bad = len(device.rows) - sum(row.quality != "bad" for row in device.rows.values())
    if doubt is None and bad:
        state, style = f"{bad} of {len(device.rows)} bad", "yellow"
    age = age_text(max(good, key=lambda row: row.ts), now_ms) if good else "-"
    values = "  ".join(f"{row.tag} {value_text(row)}{f' {row.unit}' if row.unit else ''}" for row in _telling(device))
    mark = "●" if doubt is None and not bad else "▲" if doubt is None else "✕"
    return Text.assemble(
        (f"{mark} ", style), (f"{device.device:<9}", "bold"), (f"{state:<14}", style), f"{age:>6}  {values}"
    )


def _telling(device: DeviceTable) -> list[TableRow]:
    """Two rows a person learns something from: measured numbers with a unit first."""
    rows = sorted(device.rows.values(), key=lambda row: (row.unit is None, isinstance(row.value, bool)))
    return rows[:2]


def _wrapped(text: str, width: int) -> list[Text]:
    """Totals in as many lines as they need, broken between words."""
    return [Text(line, style="bold") for line in textwrap.wrap(text, width, subsequent_indent=" " * 10)]


def view_for(console: Console) -> View:
    """The live table on a terminal, plain lines elsewhere."""
    return LiveView(console) if console.is_terminal else PlainView(console)
