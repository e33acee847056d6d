"""`edge-agent outbox`: what waits, what is quarantined; requeue, discard, resend. Works beside a running agent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.mistakes import report
from agent.cli.tables import show_table
from agent.cli.words import counted
from agent.config.loader import load
from agent.config.whereabouts import data_dir_of
from agent.core.errors import ConfigError, PermanentError
from agent.core.text import harmless, harmless_json
from agent.outbox import outbox_path
from agent.outbox.operator.client import inquire
from agent.outbox.operator.protocol import Heap, Listing, OutboxAnswer, OutboxQuestion, QuarantinedRecord, Verb, Which
from agent.outbox.orphans import orphans
from agent.runtime.asking import ControlError, NoAgent, UnknownVerb, call
from agent.settings.outbox import OutboxSettings
from agent.settings.values import parse_duration, readable_size

#: The outbox of a stopped agent that has lost records counts as full from this share of its bound on.
NEARLY = 0.9


@dataclass(frozen=True)
class Order:
    """The command line."""

    verb: Verb
    publisher: str | None = None
    ids: Sequence[int] = ()
    device: str | None = None
    epoch: str | None = None
    first: int | None = None
    last: int | None = None
    since: str | None = None
    everything: bool = False
    json: bool = False


@dataclass(frozen=True)
class OutboxPlace:
    """Whose outboxes are asked: by a configuration, or as far as it has mistakes, and without one, by their files."""

    data_dir: Path
    publishers: dict[str, OutboxSettings | None]  #: configured ones; None: how it is bounded is not known
    former: tuple[str, ...] = ()  #: whose outbox is still there

    def names(self, order: Order) -> list[str]:
        """Who is asked. Raises ValueError for a name nobody knows."""
        known = [*self.publishers, *self.former]
        if order.publisher is not None and order.publisher not in known:
            raise ValueError(f"there is no publisher {order.publisher!r}; there are: {', '.join(known)}")
        if order.publisher is not None:
            return [order.publisher]
        return known if order.verb in {"list", "quarantined"} else list(self.publishers)


def outbox(config: Path, order: Order, data_dir: Path | None = None) -> int:
    """0: done; 1: an outbox could not be asked; 2: the configuration or the command line has a mistake."""
    try:
        place = _place(config, data_dir)
        names = place.names(order)
        ask = OutboxQuestion(order.verb, _which(order, len(names)))
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    except ValueError as error:
        sys.stderr.write(f"{harmless(str(error))}\n")
        return 2
    failed = False
    answers: dict[str, OutboxAnswer] = {}
    for name in names:
        try:
            answers[name] = answer = _inquire(place.data_dir, name, ask)
            reason = answer.error
            if answer.listing is not None:
                settings = place.publishers.get(name)
                answer.listing.orphan = name in place.former
                if answer.listing.limit is None and settings is not None:
                    answer.listing.limit = settings.max_bytes
        except (ControlError, PermanentError) as error:
            reason = str(error)
        if reason is not None:
            failed = True
            sys.stderr.write(harmless(f"{name}: {reason}") + "\n")
    _show(answers, order)
    return 1 if failed else 0


def _place(config: Path, data_dir: Path | None) -> OutboxPlace:
    """Raises ConfigError where the configuration does not even say where the outboxes are."""
    if data_dir is None:
        try:
            loaded = load(config, secrets=False).config
        except ConfigError:
            with suppress(ConfigError):
                data_dir = data_dir_of(config)
            if data_dir is None or not data_dir.is_dir():
                raise
        else:
            where = loaded.agent.data_dir
            former = tuple(orphan.publisher for orphan in orphans(where, loaded.publishers))
            bounds = {name: one.outbox or loaded.outbox for name, one in loaded.publishers.items()}
            return OutboxPlace(where, dict(bounds), former)
    return OutboxPlace(data_dir, {orphan.publisher: None for orphan in orphans(data_dir, ())})


def _inquire(data_dir: Path, name: str, ask: OutboxQuestion) -> OutboxAnswer:
    """The agent answers for what it has open; else the file is asked itself. Raises ControlError, PermanentError."""
    try:
        return call(data_dir, f"outbox {name}", ask, OutboxAnswer)
    except (NoAgent, UnknownVerb):
        return inquire(outbox_path(data_dir, name), ask)


def _which(order: Order, publishers: int) -> Which:
    which = Which(
        ids=tuple(order.ids) or None,
        device=order.device,
        epoch=order.epoch,
        first=order.first,
        last=order.last,
        since=None if order.since is None else _instant(order.since),
    )
    if order.ids and order.verb not in ("requeue", "discard", "quarantined"):
        raise ValueError(f"{order.verb} takes no ids; narrow it with --device, --epoch, --from, --to, --since")
    if order.ids and publishers > 1:
        raise ValueError("ids count per publisher; say which with --publisher")
    if order.verb in ("requeue", "discard", "resend"):
        if which.everything and not order.everything:
            raise ValueError(
                f"{order.verb} what? Narrow it with ids, --device, --epoch, --from, --to, --since; or --all"
            )
        if order.everything and not which.everything:
            raise ValueError("--all and a choice contradict each other; keep one of them")
    return which


def _instant(text: str) -> int:
    """`10m` ago, or an instant in ISO 8601 (UTC where it names no zone)."""
    try:
        return round((time.time() - parse_duration(text)) * 1000)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"--since {text!r} is neither a duration (10m) nor an instant (2026-11-22T06:00:00Z)"
        ) from None
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


# --- showing ----------------------------------------------------------------------------------------------------------


def _show(answers: dict[str, OutboxAnswer], order: Order) -> None:
    if order.json:
        sys.stdout.write(harmless_json(msgspec.json.encode(answers).decode()) + "\n")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160, markup=False)
    for name, answer in answers.items():
        if answer.listing is not None:
            _listing(console, name, answer.listing)
        elif answer.quarantined is not None:
            _asides(console, name, answer.quarantined)
        elif answer.done is not None:
            done = answer.done
            what = f"{counted(done.records, 'record')}, {counted(done.readings, 'reading')}"
            console.print(f"{name}: {_PAST[order.verb]} {what}")


_PAST = {"requeue": "requeued", "discard": "discarded", "resend": "to be sent again:"}


def _listing(console: Console, name: str, listing: Listing) -> None:
    table = Table("", "device", "epoch", "seq", "records", "readings", "bytes", "oldest", box=None, pad_edge=False)
    for what, heaps in _heaps(listing):
        for heap in heaps:
            seqs = f"{heap.first}-{heap.last}" if heap.last > heap.first else f"{heap.first}"
            figures = (f"{heap.records}", f"{heap.readings}", f"{heap.bytes}")
            table.add_row(what, Text(harmless(heap.device)), heap.epoch, seqs, *figures, _time(heap.from_ts))
    records = sum(heap.records for heap in listing.waiting)
    orphaned = f" (no publisher has this name; `was: {name}` under its successor sends it)" if listing.orphan else ""
    aside, kept = (sum(heap.records for heap in heaps) for heaps in (listing.quarantined, listing.kept))
    console.print(
        f"{name}{orphaned}: {_fill(listing)}; {counted(records, 'record')} waiting,"
        f" {counted(listing.declarations, 'declaration')} of gaps; {counted(aside, 'record')} in quarantine,"
        f" {counted(kept, 'acknowledged one')} kept"
    )
    if table.rows:
        show_table(console, table)


def _fill(listing: Listing) -> str:
    lost, limit = listing.lost, listing.limit
    words = [readable_size(listing.bytes, max(limit, listing.bytes)) if limit else readable_size(listing.bytes)]
    if listing.full or (limit and lost.records and listing.bytes >= limit * NEARLY):
        words.append("FULL")
    if lost.records:
        words.append(f"{lost.records:,} lost since {_time(lost.from_ts)}")
    return ", ".join(words)


def _heaps(listing: Listing) -> Iterator[tuple[str, list[Heap]]]:
    yield "waits", listing.waiting
    yield "to be sent again", listing.again
    yield "quarantine", listing.quarantined
    yield "kept", listing.kept


def _asides(console: Console, name: str, asides: list[QuarantinedRecord]) -> None:
    console.print(f"{name}: {counted(len(asides), 'record')} in quarantine")
    table = Table("id", "device", "epoch", "seq", "from", "since", "readings", "bytes", "reason", box=None)
    for one in asides:
        numbers: tuple[Any, ...] = (one.id, one.device, one.epoch, one.seq)
        more: tuple[Any, ...] = (_time(one.ts), _time(one.at), one.readings, one.bytes, one.reason)
        table.add_row(*(Text(harmless(str(cell))) for cell in numbers + more))
    if asides:
        show_table(console, table)


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
