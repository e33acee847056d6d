"""An unknown Modbus device: which units answer, and what of each area can be read. Only reads are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from msgspec import Struct, field

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.identity import identify
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest, UnitReply
from agent.collectors.modbus.tags.address import FUNCTIONS, Area
from agent.core.clock import Clock
from agent.core.errors import TransientError
from agent.workbench.ranges import Ranges, Span

#: What one request takes at most (Modbus Application Protocol V1.1b3, 6.1 to 6.4).
MOST: dict[Area, int] = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}
REGISTERS: tuple[Area, ...] = ("holding", "input")
ILLEGAL_FUNCTION = 0x01
#: A gateway says that nobody is behind it under this unit id.
NOT_THERE = (0x0A, 0x0B)
#: Requests in a row that are never answered, until the area counts as silent; a device may be silent to what is too
#: long for it, and each of them is half as long.
SILENT = 5
#: So long areas are searched, until what is left of long gaps is no longer asked for place by place, seconds.
PATIENCE = 90.0


class UnitFound(Struct):
    """One unit that answers."""

    unit: int
    identity: dict[str, str] = field(default_factory=dict)  #: vendor, product, version, where it tells (43/14)
    areas: dict[str, list[Span]] = field(default_factory=dict)
    most: dict[str, int] = field(
        default_factory=dict
    )  #: places it takes in one request, where a larger one was refused


class Progress(Struct, frozen=True):
    """How far a scan has come."""

    what: str
    done: int
    of: int


class _Search(Struct):
    """One area of one unit."""

    one: UnitFound
    area: Area
    ranges: Ranges
    silent: int = 0  #: requests in a row that nobody answered; SILENT where there is nothing to search


class Scan:
    """One scan over one bus. `found` grows while it goes on, so that a scan that is stopped has a result too."""

    def __init__(self, bus: ModbusBus, clock: Clock, *, timeout: float, rate: float | None = None) -> None:
        """`rate`: requests a second at most."""
        self.found: list[UnitFound] = []
        self.requests = 0
        self.left: list[str] = []  #: where only round places of long gaps were asked for: time was up
        self._bus = bus
        self._clock = clock
        self._timeout = timeout
        self._pause = 1.0 / rate if rate else 0.0

    async def units(self, units: Sequence[int]) -> AsyncIterator[Progress]:
        """Ask each unit once for one register. Raises ConnectionLost."""
        for number, unit in enumerate(units):
            yield Progress(f"unit {unit}", number, len(units))
            reply = await self._read(unit, "holding", 0, 1)
            if reply is not None and reply.code not in NOT_THERE:
                self.found.append(UnitFound(unit, await self._identity(unit)))

    async def areas(self, areas: Sequence[Area], first: int, last: int) -> AsyncIterator[Progress]:
        """What can be read of each unit that was found."""
        each = last - first + 1
        until = self._clock.monotonic() + PATIENCE
        searches = [
            _Search(one, area, Ranges(first, last, MOST[area], registers=area in REGISTERS))
            for one in self.found
            for area in areas
        ]
        for number, search in enumerate(searches):
            while (at := await self._step(search)) is not None:
                what = f"unit {search.one.unit} {search.area}:{at}"
                yield Progress(what, number * each + at - first, len(searches) * each)
        gaps = [search for search in searches if search.ranges.left and search.silent < SILENT]
        for number, search in enumerate(gaps):
            search.ranges.deepen()
            while self._clock.monotonic() < until and (at := await self._step(search)) is not None:
                what = f"unit {search.one.unit} {search.area}:{at} in gaps"
                yield Progress(what, number * each + at - first, len(gaps) * each)
            if (left := search.ranges.left) is not None:
                self.left.append(f"unit {search.one.unit} {search.area} {left.first}-{left.last}")

        for search in searches:
            await self._limit(search)

    async def _limit(self, search: _Search) -> None:
        """How much it takes in one request, where a larger one than was answered fits into what can be read."""
        longest = max(search.ranges.spans, key=lambda span: span.last - span.first, default=Span(0, -1))
        takes, most = search.ranges.most, min(longest.last - longest.first + 1, MOST[search.area])
        refused, count = most + 1, most
        while takes < count < refused:
            reply = await self._read(search.one.unit, search.area, longest.first, count)
            takes, refused = (takes, count) if reply is None or reply.code else (count, refused)
            count = (takes + refused) // 2 & ~1  # even: a pair may be refused half
        if refused <= most:
            search.one.most[search.area] = takes

    async def _step(self, search: _Search) -> int | None:
        """Ask the next request of a search, and tell its place; None at the end."""
        if search.silent >= SILENT or (asked := search.ranges.ask()) is None:
            return None
        reply = await self._read(search.one.unit, search.area, *asked)
        if reply is not None and reply.code == ILLEGAL_FUNCTION:
            search.silent = SILENT
            return None
        search.ranges.told(readable=reply is not None and not reply.code)
        search.silent = search.silent + 1 if reply is None else search.silent if reply.code else 0
        if search.ranges.spans:
            search.one.areas[search.area] = search.ranges.spans
        return asked[0]

    async def _identity(self, unit: int) -> dict[str, str]:
        try:
            told = await identify(self._bus.ask, unit, self._timeout)
        except TransientError:
            return {}
        return told or {}

    async def _read(self, unit: int, area: Area, offset: int, count: int) -> UnitReply | None:
        """None: no answer, or none that fits."""
        if self._pause:
            await self._clock.sleep(self._pause)
        self.requests += 1
        try:
            return await self._bus.ask(unit, ReadRequest(FUNCTIONS[area], offset, count, self._timeout))
        except (NoAnswer, BadReply):
            return None


def devices_of(url: str, found: Sequence[UnitFound]) -> dict[str, dict[str, object]]:
    """Devices as a configuration has them: a range of tags for each stretch that can be read."""
    devices: dict[str, dict[str, object]] = {}
    for one in found:
        tags: dict[str, dict[str, object]] = {}
        for area, spans in one.areas.items():
            for span in spans:
                address = f"{area}:{span.first}" + (f"..{span.last}" if span.last > span.first else "")
                name = f"{area}_{span.first}" + ("_{n}" if span.last > span.first else "")
                tags[name] = {"address": address}
        keys: dict[str, object] = {"type": "modbus", "url": url, "unit_id": one.unit}
        if one.identity:
            keys["description"] = " ".join(one.identity.values())
        most = [one.most[area] for area in REGISTERS if area in one.most]
        if most:
            keys["max_registers"] = min(most)
        devices[f"unit-{one.unit}"] = {**keys, "tags": tags}
    return devices
