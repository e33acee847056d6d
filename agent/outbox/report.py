"""What an outbox tells people: log events and metrics."""

from __future__ import annotations

from pathlib import Path

from agent.core.flow import GapKind
from agent.outbox.file.transaction import Opened
from agent.outbox.state import State
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("outbox")


class Report:
    """Events and figures of one outbox."""

    def __init__(self, name: str, file: Path | None) -> None:
        self._name = name
        self._file = None if file is None else str(file)
        self._repeats = Repeats()
        self._unsaid: dict[GapKind, int] = {}
        self._written = 0
        self._quarantined: int | None = None
        self._figures = (
            metrics.OUTBOX_RECORDS.labels(name),
            metrics.OUTBOX_BYTES.labels(name),
            metrics.OUTBOX_OLDEST.labels(name),
        )
        self._written_total = metrics.OUTBOX_WRITTEN.labels(name)

    def opened(self, state: State) -> None:
        """The file is open."""
        log.info("outbox.opened", publisher=self._name, epoch=state.book.epoch, records=state.records)

    def salvaged(self, opened: Opened) -> None:
        """The file was damaged."""
        log.error(
            "outbox.salvaged",
            publisher=self._name,
            reason=opened.damage,
            moved_to=opened.moved_to,
            records=opened.saved,
        )

    def declared(self, devices: int) -> None:
        """A start has declared the time before it."""
        if devices:
            log.info("outbox.down_declared", publisher=self._name, devices=devices)

    def disk_refused(self, error: BaseException, state: State) -> None:
        """Said once, until it is over; `waiting` counts the records in memory."""
        log.error(
            "outbox.disk_refused",
            publisher=self._name,
            reason=str(error),
            file=self._file,
            waiting=state.in_memory,
            hint=getattr(error, "hint", None),
        )

    def disk_ok(self) -> None:
        """It is over."""
        log.info("outbox.disk_ok", publisher=self._name)

    def set_right(self) -> None:
        """Records from before the clock was set have their right times."""
        log.info("outbox.restamped", publisher=self._name)

    def committed(self, state: State) -> None:
        """After each commit: what was lost since the last one, said rarely, counted always."""
        written = state.written if state.written_disk is None else state.written_disk
        if written > self._written:
            self._written_total.inc(written - self._written)
            self._written = written
        self.losses(state)

    def losses(self, state: State) -> None:
        """Count and say what was dropped."""
        for kind, count in state.dropped_now.items():
            metrics.OUTBOX_DROPPED.labels(self._name, kind).inc(count)
            if kind == "quarantined":
                metrics.QUARANTINED.labels(self._name).inc(count)
            self._unsaid[kind] = self._unsaid.get(kind, 0) + count
            if self._repeats.due(kind, state.clock.monotonic()) is not None:
                self._say(kind, self._unsaid.pop(kind))
        state.dropped_now.clear()

    def _say(self, kind: GapKind, records: int) -> None:
        if kind == "dropped":
            log.warning("outbox.dropped", publisher=self._name, records=records)
        elif kind == "expired":
            log.warning("outbox.expired", publisher=self._name, records=records)
        elif kind == "overflow":
            log.error("outbox.overflow", publisher=self._name, records=records)

    def figures(self, state: State) -> None:
        """The gauges, once a turn."""
        records, size, oldest = self._figures
        records.set(state.records)
        size.set(state.bytes)
        oldest.set(state.oldest[1] / 1000 if state.oldest is not None and state.records else 0)

    def closed(self, state: State, error: BaseException | None) -> None:
        """The file is closed; `error` where even that failed."""
        self.figures(state)
        if error is not None:
            self.disk_refused(error, state)
