"""`edge-agent plan`: what a configuration asks of devices, buses and disk, before anything runs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.mistakes import on_command_line, refusable
from agent.cli.tables import show_table
from agent.cli.words import counted, lasting, listed
from agent.config.loader import load
from agent.core.text import harmless_json
from agent.settings.values import parse_duration, readable_size
from agent.workbench.plan import DevicePlan, Plan
from agent.workbench.plan import plan as planned
from agent.workbench.selected import device_of

#: Devices of one screen; more are counted.
MOST = 200


@refusable
def plan(config: Path, device: str | None, round_trip: str, *, json: bool = False) -> int:
    """0: every interval can be met, 1: some cannot, 2: mistakes in the configuration or the command."""
    loaded = load(config, secrets=False, overload=True)  # none is used: planned at a desk, too
    if device is not None:
        device_of(loaded.whole, str(config), device)
    with on_command_line("write --round-trip 20ms"):
        seconds = parse_duration(round_trip)
    found = planned(loaded.whole, seconds)
    if json:
        document = {**msgspec.to_builtins(found), "met": found.met}
        sys.stdout.write(harmless_json(msgspec.json.encode(document).decode()) + "\n")
    else:
        _show(found, device, Console(highlight=False, width=None if sys.stdout.isatty() else 160))
    return 0 if found.met else 1


def _show(found: Plan, only: str | None, console: Console) -> None:
    console.print(f"Planned with a round trip of {found.round_trip_ms:g} ms (--round-trip).", markup=False)
    chosen = [one for one in found.devices if only in (None, one.device)]
    if any(one.cycles for one in chosen):
        show_table(console, _devices(chosen[:MOST]))
    if len(chosen) > MOST:
        console.print(f"… and {len(chosen) - MOST} more devices", markup=False)
    if only is not None:
        for one in (one for one in chosen if one.cycles or not one.finds_tags):
            console.print(
                f"requests: {', '.join(one.blocks) or 'none, it is subscribed'}", markup=False, soft_wrap=True
            )
    shared = [bus for bus in found.buses if len(bus.devices) > 1 or bus.late]
    for bus in shared:
        verdict = "more than there is" if bus.late else "fits"
        devices = counted(len(bus.devices), "device")
        console.print(
            f"{bus.bus}: {_in_shard(bus.shard)}{devices}, busy {bus.share:.0%} of the time, {verdict}",
            markup=False,
            soft_wrap=True,
        )
    for outbox in found.outboxes:
        size, a_day = readable_size(outbox.max_bytes), readable_size(outbox.bytes_per_day)
        told = "nothing is read for it"
        if outbox.holds_minutes is not None:
            bound = ", which is its max_age" if outbox.expires else ""
            holds = f"{lasting(outbox.holds_minutes * 60)}{bound}"
            told = f"{a_day} a day; its outbox of {size} holds an outage of {holds}"
        console.print(f"{outbox.publisher}: {_in_shard(outbox.shard)}{told}", markup=False, soft_wrap=True)
    each = "" if len({outbox.shard for outbox in found.outboxes}) < 2 else " of each shard"
    console.print(f"disk: at least {readable_size(found.minimum_disk_bytes)} for agent.data_dir{each}", markup=False)
    for line in _remarks(chosen):
        console.print(line, markup=False, soft_wrap=True)


def _remarks(devices: list[DevicePlan]) -> Iterator[str]:
    if finding := [one.device for one in devices if one.finds_tags]:
        yield (
            f"not counted: the tags that {listed(finding)} will find by `browse:`; for a plan, write them with"
            " `edge-agent browse DEVICE -o FILE`"
        )
    gains, lates = defaultdict[str | None, list[str]](list), defaultdict[str | None, list[str]](list)
    for one in devices:
        gains[one.gain].append(one.device)
        lates[one.late].append(one.device)
    yield from (f"{listed(names)}: {gain}" for gain, names in gains.items() if gain is not None)
    yield from (
        f"the interval of {listed(names, MOST)} cannot be met: {late}"
        for late, names in lates.items()
        if late is not None
    )


def _in_shard(shard: int | None) -> str:
    return "" if shard is None else f"shard {shard}, "


def _devices(devices: list[DevicePlan]) -> Table:
    sharded = ["shard"] if any(one.shard is not None for one in devices) else []
    table = Table(
        "device", *sharded, "interval", "tags", "requests", "wanted", "wasted", "a cycle", "busy",
        box=None, pad_edge=False,
    )  # fmt: skip
    for one in devices:
        for cycle in one.cycles:
            every = "once" if cycle.interval is None else f"{cycle.interval:g} s"
            took = f"{cycle.seconds * 1000:.0f} ms" if cycle.requests else "subscribed"
            cells = (cycle.tags, cycle.requests, cycle.wanted, cycle.wasted, took, f"{cycle.share:.0%}")
            table.add_row(*(Text(str(cell)) for cell in (one.device, *([one.shard] if sharded else []), every, *cells)))
    return table
