"""`edge-agent read`: what does this tag say now? A configured device, or nothing but an address."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.context import context_of
from agent.cli.live import line_of, table_of
from agent.cli.mistakes import on_command_line, refusable
from agent.cli.tables import show_table
from agent.config.loader import load
from agent.config.model import AgentSettings
from agent.core.text import harmless, harmless_json
from agent.settings.devices import DeviceConfig
from agent.settings.values import parse_duration
from agent.telemetry.logging import configure
from agent.workbench.adhoc import device_at, kind_of
from agent.workbench.live import Visit, driving, visits_of
from agent.workbench.orders import Guess, guesses
from agent.workbench.selected import registers_of, with_tags

#: `--orders` reads so often, so long apart: whether a value is steady shows over a few reads.
READS, APART = 3, "500ms"
#: Ways to read a range that are shown; beyond, only the plausible ones count.
MOST_GUESSES = 40


@dataclass(frozen=True)
class Wish:
    """What is to be read, and how it is shown."""

    names: Sequence[str]  #: device and tags; with `url` addresses
    url: str | None = None
    unit: int = 1
    type: str | None = None
    byte_order: str | None = None
    length: int | None = None
    watch: str | None = None
    orders: bool = False
    expect: float | None = None
    json: bool = False


@refusable
def read(config: Path, wish: Wish) -> int:
    """0: read, 1: a tag is bad or silent, or the device is, 2: the configuration or the address is wrong."""
    configure(level="error", style="console", stream=sys.stderr)
    name, device, owner = _wanted(config, wish)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    with suppress(KeyboardInterrupt):
        return asyncio.run(_read(name, device, owner, wish, console))
    return 0


def _wanted(config: Path, wish: Wish) -> tuple[str, DeviceConfig, AgentSettings | None]:
    """The device and its name; whose it is, with what is known of it and trusted, where it is a configured one."""
    every = wish.watch or (APART if wish.orders else None)
    if every is not None:
        with on_command_line("write 500ms, 1s or 1m"):
            parse_duration(every)
    if wish.url is None:
        name, *tags = wish.names
        whole = load(config, secrets=True).whole
        device = with_tags(whole, str(config), name, tags)
        if wish.orders:
            device = registers_of(device)
        if every is not None:
            device = device.model_copy(update={"interval": parse_duration(every)})
        return name, device, whole.agent
    tag = {"type": wish.type, "byte_order": wish.byte_order, "length": wish.length}
    keys: dict[str, Any] = {"unit_id": wish.unit} if kind_of(wish.url) == "modbus" else {"mode": "poll"}
    given = {key: value for key, value in tag.items() if value is not None}
    device = device_at(wish.url, wish.names, {**keys, "interval": every or "1s"}, given)
    return wish.url, registers_of(device) if wish.orders else device, None


async def _read(name: str, device: DeviceConfig, owner: AgentSettings | None, wish: Wish, console: Console) -> int:
    context = context_of("read") if owner is None else context_of(owner.id, owner.data_dir)
    collector = device.build(name, context)
    seen: list[Visit] = []
    async with driving(context.buses), aclosing(visits_of(name, device, collector, context)) as visits:
        async for visit in visits:
            seen = [*seen, visit][-READS:]
            if wish.orders:
                if len(seen) == READS or not visit.good:
                    break
                continue
            _show(visit, console, wish)
            if wish.watch is None:
                break
    if wish.orders and seen and seen[-1].good:
        return _orders(seen, console, wish)
    if wish.orders and seen:  # the same document without `orders`
        _show(seen[-1], console, wish)
    return 0 if seen and seen[-1].good else 1


def _show(visit: Visit, console: Console, wish: Wish) -> None:
    if wish.json:
        sys.stdout.write(harmless_json(json.dumps(document(visit), ensure_ascii=False)) + "\n")
        sys.stdout.flush()
        return
    show_table(console, table_of(visit, None))
    if not visit.good:
        console.print(line_of(visit), markup=False, soft_wrap=True)


def document(visit: Visit) -> Mapping[str, Any]:
    """A visit for programs: a reading has at least tag, value, quality and ts."""
    readings = [
        {
            "tag": one.tag, "value": one.value, "quality": one.quality, "ts": one.ts, "src": one.src, "unit": one.unit,
            "label": one.label, "code": one.code, "reason": one.reason,
        }
        for one in visit.readings.values()
    ]  # fmt: skip
    always = ("tag", "value", "quality", "ts")
    return {
        "device": visit.device,
        "readings": [{k: v for k, v in one.items() if v is not None or k in always} for one in readings],
        "silent": list(visit.silent),
        "error": visit.error,
    }


# --- orders -----------------------------------------------------------------------------------------------------------


def _orders(seen: Sequence[Visit], console: Console, wish: Wish) -> int:
    addresses = list(seen[-1].readings)
    reads = [[int(str(one.value)) for one in visit.readings.values()] for visit in seen]
    found = guesses(reads, wish.expect)
    if wish.json:
        answer = {**document(seen[-1]), "orders": [_guess(one, addresses) for one in found]}
        sys.stdout.write(harmless_json(json.dumps(answer, ensure_ascii=False)) + "\n")
        return 0
    console.print(
        "registers: " + "  ".join(f"{at}=0x{value:04X}" for at, value in zip(addresses, reads[-1], strict=True))
    )
    likely = [one for one in found if one.plausible]
    table = Table("", "address", "type", "byte_order", "value", "why", box=None, pad_edge=False)
    for one in found[:MOST_GUESSES] if len(addresses) <= 4 else likely[:MOST_GUESSES]:
        cells = (addresses[one.offset], one.type, one.order, f"{one.value:.7g}", one.remark)
        table.add_row("*" if one.plausible else "", *(Text(harmless(cell)) for cell in cells))
    show_table(console, table)
    console.print(f"{len(likely)} of {len(found)} ways are plausible (*)", markup=False)
    return 0


def _guess(one: Guess, addresses: Sequence[str]) -> Mapping[str, Any]:
    return {
        "address": addresses[one.offset], "type": one.type, "byte_order": one.order,
        "value": one.value if one.value == one.value else None, "plausible": one.plausible, "why": one.remark,
    }  # fmt: skip
