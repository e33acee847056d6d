"""What an outbox tells people: log events and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.outbox.file.transaction import Opened
from agent.outbox.losses import LossNews
from agent.outbox.state import OutboxState
from agent.settings.values import format_duration, readable_size
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

#: Of many devices that lost records so many are named.
_NAMED = 3

log = get_logger("outbox")


class OutboxReport:
    """Events and figures of one outbox."""

    def __init__(self, name: str, file: Path | None) -> None:
        self._name = name
        self._file = None if file is None else str(file)
        self._written = 0
        self._figures = (
            metrics.OUTBOX_RECORDS.labels(name),
            metrics.OUTBOX_BYTES.labels(name),
            metrics.OUTBOX_OLDEST.labels(name),
        )
        self._written_total = metrics.OUTBOX_WRITTEN.labels(name)

    def opened(self, state: OutboxState) -> None:
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

    def disk_refused(self, error: BaseException, state: OutboxState) -> None:
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

    def committed(self, state: OutboxState) -> None:
        """After each commit: what was lost since the last one, said rarely, counted always."""
        written = state.written if state.written_disk is None else state.written_disk
        if written > self._written:
            self._written_total.inc(written - self._written)
            self._written = written

    def losses(self, state: OutboxState, *, closing: bool = False) -> None:
        """Count what was lost, and tell it: at once, every minute while it goes on, and when it is over."""
        for kind, count in state.losses.by_kind.items():
            metrics.OUTBOX_DROPPED.labels(self._name, kind).inc(count)
            if kind == "quarantined":
                metrics.QUARANTINED.labels(self._name).inc(count)
        state.losses.by_kind.clear()
        filled = state.bytes / state.limit if state.limit else 1.0
        for news in state.losses.news(state.clock.monotonic(), filled=filled, closing=closing):
            self._tell(news, state)

    def _tell(self, news: LossNews, state: OutboxState) -> None:
        lost, several = news.lost, len(news.devices) if news.device is None else None
        who = _names(news.devices)
        span = {"from": _instant(lost.from_ts), "to": _instant(lost.to_ts)}
        about = {"publisher": self._name, "device": news.device, "devices": several}
        figures = {"records": lost.records, "readings": lost.readings, **span}
        why = _why(news, state)
        what = "record" if lost.records == 1 else "records"
        reason = f"{lost.records:,} {what} of {who} from {span['from']} to {span['to']} lost, {why}"
        if news.over:
            log.error("outbox.loss_over", **about, **figures, cause=news.cause, reason=reason)
        elif news.cause == "dropped":
            log.error("outbox.dropped", **about, **figures, bound=readable_size(state.limit), reason=reason)
        elif news.cause == "expired":
            log.error("outbox.expired", **about, **figures, reason=reason)
        else:
            log.error("outbox.overflow", **about, **figures, reason=reason)

    def figures(self, state: OutboxState) -> None:
        """What was lost and the gauges, once a turn."""
        self.losses(state)
        records, size, oldest = self._figures
        records.set(state.records)
        size.set(state.bytes)
        oldest.set(state.oldest[1] / 1000 if state.oldest is not None and state.records else 0)

    def closed(self, state: OutboxState, error: BaseException | None) -> None:
        """The file is closed; `error` where even that failed."""
        self.losses(state, closing=True)
        self.figures(state)
        if error is not None:
            self.disk_refused(error, state)


def _names(devices: Sequence[str]) -> str:
    """All of a few; of many those that lost most."""
    if len(devices) > _NAMED:
        return f"{', '.join(devices[:_NAMED])} and {len(devices) - _NAMED:,} more"
    return " and ".join(filter(None, (", ".join(devices[:-1]), devices[-1])))


def _instant(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _why(news: LossNews, state: OutboxState) -> str:
    if news.cause == "expired":
        return f"older than max_age, {format_duration(state.settings.max_age)}"
    if news.cause == "overflow":
        return "memory full while the disk refused"
    short = "" if state.limit >= state.settings.max_bytes else ", the disk is below min_free_disk"
    return f"outbox full at {readable_size(state.limit)}{short}"
