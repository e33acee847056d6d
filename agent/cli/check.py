"""`edge-agent check`: is the configuration right? With `--live`: do all tags answer?"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.mistakes import report, show
from agent.cli.tables import show_table
from agent.cli.words import counted
from agent.config.loader import Loaded, load
from agent.config.located import Map
from agent.config.placed import placed
from agent.config.prose import as_data, grouped
from agent.config.shards import owners
from agent.config.summary import tags_of, warnings, writable_by_others
from agent.config.whereabouts import is_historian
from agent.core.errors import ConfigError, Mistake
from agent.core.regular import read_regular
from agent.core.text import harmless, without_credentials
from agent.outbox.orphans import orphans
from agent.settings.values import format_duration
from agent.workbench.live import Visit

_PRODUCTS = {"kepware": "Kepware", "telegraf": "Telegraf", "thingsboard": "ThingsBoard", "neuron": "Neuron"}


@dataclass(frozen=True)
class CheckOptions:
    """What `check` was asked for beside the configuration."""

    live: bool = False  #: also connect, and read every tag once
    devices: str = "*"  #: glob: of these only (`live`, and the table)
    all_tags: bool = False  #: a line for every tag, however many there are
    as_json: bool = False  #: one document on standard output instead of tables


def check(config: Path, asked: CheckOptions = CheckOptions()) -> int:
    """0: right; 2: mistakes, or (with `live`) a tag that is bad. What is found goes to standard error."""
    if is_historian(config):
        from agent.cli.historian import check as check_historian

        return check_historian(config)
    places = Map(str(config), 0)
    try:
        loaded = load(config, places=places)
    except ConfigError as error:
        return _refused(config, error, as_json=asked.as_json)
    agent = loaded.config.agent
    words = [*warnings(loaded.whole), *writable_by_others(loaded.files, agent.data_dir), *_orphans(loaded)]
    found = placed(words, places)
    chosen = [name for name in loaded.whole.devices if fnmatchcase(name, asked.devices)]
    if not chosen and asked.devices != "*":
        known = ", ".join(loaded.whole.devices) or "none"
        sys.stderr.write(f"no device matches {harmless(asked.devices)}; there are: {harmless(known)}\n")
        return 2
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160, quiet=asked.as_json)
    show_table(console, _summary(loaded, chosen))
    files = f"{len(loaded.files)} file{'s' if len(loaded.files) > 1 else ''}"
    console.print(
        f"{config}: ok. Agent {agent.id}, configuration {loaded.hash}, {files}.{_shard(loaded)}",
        markup=False,
        soft_wrap=True,
    )
    if not asked.as_json:
        show(found, sys.stderr, "warning: ")
    visits = None
    if asked.live:
        from agent.cli import live

        visits = live.read_once(loaded.whole, chosen)
        for visit in visits:
            live.show(visit, console, all_tags=asked.all_tags)
    if asked.as_json:
        _print_json(config, loaded, found, visits)
    return 0 if visits is None or all(visit.good for visit in visits) else 2


def _refused(config: Path, error: ConfigError, *, as_json: bool) -> int:
    if (kind := _foreign(config)) is not None:  # mistakes of our own rules would help nobody there
        hint = f"`edge-agent convert {config}` makes one of edge-agent of it"
        error = ConfigError(str(config), None, f"a configuration of {_PRODUCTS.get(kind, kind)}", hint)
    if as_json:
        mistakes = [as_data(told) for told in grouped(error.mistakes)]
        _write_json({"ok": False, "file": str(config), "mistakes": mistakes, "warnings": []})
        return 2
    report(error, sys.stderr)
    return 2


def _foreign(config: Path) -> str | None:
    """The product whose configuration this is, where `convert` knows it."""
    from agent.workbench.convert.formats import LARGEST, recognised

    try:
        found = recognised(read_regular(config, LARGEST).decode())
    except (OSError, UnicodeError):
        return None
    return None if found is None else found[0]


def _orphans(loaded: Loaded) -> Iterator[str]:
    publishers = loaded.config.publishers
    used = {*publishers, *(one.was or "" for one in publishers.values())}
    for orphan in orphans(loaded.config.agent.data_dir, used):
        waits = "what is in it" if orphan.records is None else counted(orphan.records, "record")
        yield (
            f"{orphan.file} belongs to no publisher any more, and {waits} will not be sent; write"
            f" `was: {orphan.publisher}` under its successor, or delete the file"
        )


def _print_json(config: Path, loaded: Loaded, found: Sequence[Mistake], visits: Sequence[Visit] | None) -> None:
    document: dict[str, object] = {
        "ok": visits is None or all(visit.good for visit in visits),
        "file": str(config),
        "agent": loaded.config.agent.id,
        "config": loaded.hash,
        "files": [str(file) for file in loaded.files],
        "mistakes": [],
        "warnings": [as_data(told) for told in grouped(found)],
    }
    if loaded.shared is not None:
        shard = loaded.config.agent.shard
        document["shard"] = {"index": shard.index, "count": shard.count, "devices": owners(loaded.shared)}
    if visits is not None:
        from agent.cli import live

        document["devices"] = {visit.device: live.as_data(visit) for visit in visits}
    _write_json(document)


def _write_json(document: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _shard(loaded: Loaded) -> str:
    if loaded.shared is None:
        return ""
    shard, shares = loaded.config.agent.shard, Counter(owners(loaded.shared).values())
    told = ", ".join(f"{one}: {shares[one]}" for one in range(shard.count))
    return f" Shard {shard.index} of {shard.count}; devices of each: {told}."


def _summary(loaded: Loaded, chosen: Sequence[str]) -> Table:
    config = loaded.whole
    of = owners(config) if loaded.shared is not None else {}
    table = Table("", "name", "type", "where", "what", *(["shard"] if of else []), box=None, pad_edge=False)
    table.show_header = bool(config.publishers or config.devices)
    for name, publisher in config.publishers.items():
        encoder = publisher.encoder.type if publisher.encoder is not None else "-"
        carries = ", ".join(publisher.devices)
        table.add_row(
            "publisher",
            name,
            publisher.type,
            Text(harmless(without_credentials(str(getattr(publisher, "url", "-"))))),
            Text(harmless(f"{encoder}, devices {carries}")),
        )
    for name in chosen:
        device = config.devices[name]
        read, total = tags_of(device)
        count = counted(total, "tag") if read == total else f"{read} of {counted(total, 'tag')} enabled"
        if device.finds_tags:
            count = f"{count} and what `browse` finds" if total else "what `browse` finds"
        where = Text(harmless(without_credentials(device.where())))
        what = f"{count}, every {format_duration(device.interval)}"
        table.add_row("device", name, device.type, where, what, *([str(of[name])] if of else []))
    return table
