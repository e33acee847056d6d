"""`edge-agent scan`: what answers behind a Modbus address."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar

from agent.cli.context import context_of
from agent.cli.mistakes import on_command_line, refusable
from agent.cli.words import counted, harmless
from agent.collectors.modbus.bus.connection import Dtu, Workarounds
from agent.collectors.modbus.bus.transports import bus_to
from agent.collectors.modbus.bus.url import parse_url
from agent.collectors.modbus.tags.address import FUNCTIONS, LAST, Area
from agent.core.errors import AgentError, ConfigError
from agent.settings.values import parse_duration
from agent.telemetry.logging import configure
from agent.workbench.convert.written import yaml_of
from agent.workbench.live import driving
from agent.workbench.merged import merge_into
from agent.workbench.scan import Progress, Scan, devices_of

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class ScanOptions:
    """What is looked for, and where the result goes."""

    url: str
    units: str
    span: str
    areas: Sequence[str]
    rate: float | None
    timeout: str
    output: Path | None


@refusable
def scan(search: ScanOptions) -> int:
    """0: somebody answers, 1: nobody does, or the address is not there or was lost half way, 2: a mistake."""
    configure(level="error", style="console", stream=sys.stderr)
    with on_command_line():
        target = parse_url(search.url)
        units = _numbers("--units", search.units, 247)
        first, last = _ends("--range", search.span, LAST)
        timeout = parse_duration(search.timeout)
        areas = _areas(search.areas)
    context = context_of("scan")
    bus = bus_to(target, context, None, Dtu(), Workarounds())
    found = Scan(bus, context.clock, timeout=timeout, rate=search.rate)

    async def run() -> None:
        async with driving(context.buses):
            with bus.used():
                await bus.ready()
                await _shown(found.units(units))
                await _shown(found.areas(areas, first, last))

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was found until then:\n")
        return _told(search, found, nothing="nothing found yet that can be read")
    except AgentError as error:
        sys.stderr.write(f"{search.url}: {harmless(str(error))}\n")
        return _told(search, found) or 1  # what was found is printed, but it is not all
    if code := _told(search, found):
        sys.stderr.write(_NOBODY)
    return code


async def _shown(steps: AsyncIterator[Progress]) -> None:
    with Bar(console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)
        async for step in steps:
            bar.update(task, description=step.what, completed=step.done, total=step.of)


def _told(search: ScanOptions, found: Scan, nothing: str = "nothing that can be read") -> int:
    for one in found.found:
        spans = {area: sum(span.last - span.first + 1 for span in held) for area, held in one.areas.items()}
        places = ", ".join(f"{count} {area}" for area, count in spans.items()) or nothing
        sys.stderr.write(
            harmless(f"unit {one.unit}: {' '.join(one.identity.values()) or 'no identity'}; {places}") + "\n"
        )
    for where in found.left:
        sys.stderr.write(
            f"{where}: of long gaps only round places were asked (0, 10, 16, 20, …), the time was up;"
            " --range A-B of 1,000 places asks for each\n"
        )
    sys.stderr.write(f"{counted(len(found.found), 'unit')} answered, {counted(found.requests, 'request')}\n")
    if not found.found:
        return 1
    devices = devices_of(search.url, found.found)
    if search.output is None:
        sys.stdout.write(yaml_of(devices))
        return 0
    try:
        left_alone = merge_into(search.output, devices)
    except ConfigError:
        sys.stdout.write(yaml_of(devices))  # what took minutes to find is not thrown away
        raise
    for name in left_alone:
        sys.stderr.write(f"{search.output}: {name} stands there already and was left as it is\n")
    return 0


_NOBODY = (
    "nobody answers under these unit ids: look at --units, at baud rate and parity, and at the way"
    " (a serial device server is rtu+tcp://, a gateway that converts is tcp://); a slow device takes --timeout 5s\n"
)


def _areas(names: Sequence[str]) -> Sequence[Area]:
    known: dict[str, Area] = {area: area for area in FUNCTIONS}
    for name in names:
        if name not in known:
            raise ConfigError("command line", None, f"--area {name!r}", f"write one of {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())


def _numbers(option: str, text: str, most: int) -> Sequence[int]:
    """`1-247`, `1,3,10-20`."""
    found: list[int] = []
    for part in text.split(","):
        first, last = _ends(option, part.strip(), most)
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def _ends(option: str, text: str, most: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last <= most:
        raise ConfigError("command line", None, f"{option} {text!r} is no range up to {most}", "write 1-20, or 1,3,7-9")
    return first, last
