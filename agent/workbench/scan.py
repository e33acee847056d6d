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


class UnitFound(Struct):
    """One unit that answers."""

    unit: int
    identity: dict[str, str] = field(default_factory=dict)  #: vendor, product, version, where it tells (43/14)
    areas: dict[str, list[Span]] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)  #: places of the largest request that was answered


class Progress(Struct, frozen=True):
    """How far a scan has come."""

    what: str
    done: int
    of: int


class Scan:
    """One scan over one bus. `found` grows while it goes on, so that a scan that is stopped has a result too."""

    def __init__(self, bus: ModbusBus, clock: Clock, *, timeout: float, rate: float | None = None) -> None:
        """`rate`: requests a second at most."""
        self.found: list[UnitFound] = []
        self.requests = 0
        self.thinned = False  #: of long gaps only round places were asked
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
        total = len(self.found) * len(areas) * each
        for number, (one, area) in enumerate((one, area) for one in self.found for area in areas):
            search = Ranges(first, last, MOST[area], registers=area in REGISTERS)
            silent = 0
            while silent < SILENT and (asked := search.ask()) is not None:
                yield Progress(f"unit {one.unit} {area}:{asked[0]}", number * each + asked[0] - first, total)
                reply = await self._read(one.unit, area, *asked)
                if reply is not None and reply.code == ILLEGAL_FUNCTION:
                    break
                search.told(readable=reply is not None and not reply.code)
                silent = silent + 1 if reply is None else silent if reply.code else 0
                if search.spans:
                    one.areas[area], one.most[area] = search.spans, search.most
            self.thinned |= search.thinned

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
        most = [one.most[area] for area in REGISTERS if _limited(one, area)]
        if most:
            keys["max_registers"] = min(most)
        devices[f"unit-{one.unit}"] = {**keys, "tags": tags}
    return devices


def _limited(one: UnitFound, area: Area) -> bool:
    """Whether larger requests than were answered would have fitted into a stretch that can be read."""
    longest = max((span.last - span.first + 1 for span in one.areas.get(area, [])), default=0)
    return one.most.get(area, MOST[area]) + 1 < min(longest, MOST[area])  # one less may have been asked for
