"""`edge-agent check`: is the configuration right? With `--live`: do all tags answer?"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.mistakes import report
from agent.config.loader import Loaded, load
from agent.config.summary import tags_of, warnings, writable_by_others
from agent.config.whereabouts import is_historian
from agent.core.errors import ConfigError
from agent.core.text import harmless
from agent.outbox.orphans import orphans
from agent.settings.values import format_duration


def check(config: Path, *, live: bool = False) -> int:
    """0: right; 2: mistakes, or (with `live`) a tag that is bad. What is found goes to standard error."""
    if is_historian(config):
        from agent.cli.historian import check as check_historian

        return check_historian(config)
    try:
        loaded = load(config)
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(_summary(loaded))
    agent = loaded.config.agent
    files = f"{len(loaded.files)} file{'s' if len(loaded.files) > 1 else ''}"
    console.print(
        f"{config}: ok. Agent {agent.id}, configuration {loaded.hash}, {files}.", markup=False, soft_wrap=True
    )
    for warning in [*warnings(loaded.config), *writable_by_others(loaded.files, agent.data_dir)]:
        sys.stderr.write(f"warning: {harmless(warning)}\n")
    publishers = loaded.config.publishers
    used = {*publishers, *(one.was or "" for one in publishers.values())}
    for orphan in orphans(agent.data_dir, used):
        waits = "what is in it" if orphan.records is None else f"{orphan.records:,} records"
        sys.stderr.write(
            f"warning: {orphan.file} belongs to no publisher any more, and {waits} will not be sent; write"
            f" `was: {orphan.publisher}` under its successor, or delete the file\n"
        )
    if live:
        from agent.cli.live import read_once

        return read_once(loaded.config, console)
    return 0


def _summary(loaded: Loaded) -> Table:
    table = Table("", "name", "type", "where", "what", box=None, pad_edge=False)
    table.show_header = bool(loaded.config.publishers or loaded.config.devices)
    for name, publisher in loaded.config.publishers.items():
        encoder = publisher.encoder.type if publisher.encoder is not None else "-"
        carries = ", ".join(publisher.devices)
        table.add_row(
            "publisher",
            name,
            publisher.type,
            Text(harmless(str(getattr(publisher, "url", "-")))),
            Text(harmless(f"{encoder}, devices {carries}")),
        )
    for name, device in loaded.config.devices.items():
        read, total = tags_of(device)
        count = f"{total} tags" if read == total else f"{read} of {total} tags enabled"
        where = Text(harmless(device.where()))
        table.add_row("device", name, device.type, where, f"{count}, every {format_duration(device.interval)}")
    return table
