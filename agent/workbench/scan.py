"""An unknown Modbus device: which units answer, and what of each area can be read. Only reads are sent.

Ranges are found by halving: a request that is refused is asked for in halves, at last one by one. That costs about 1.3
requests for each place that cannot be read, and one for each 125 registers (2,000 bits) that can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from msgspec import Struct, field

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.identity import identify
from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest, UnitReply
from agent.collectors.modbus.tags.address import FUNCTIONS, Area
from agent.core.clock import Clock
from agent.core.errors import TransientError

#: What one request takes at most (Modbus Application Protocol V1.1b3, 6.1 to 6.4).
MOST: dict[Area, int] = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}
REGISTERS: tuple[Area, ...] = ("holding", "input")
#: From here on a refused request is asked for place by place: halving further saves nothing.
SINGLES = 8
ILLEGAL_FUNCTION = 0x01
#: A gateway says that nobody is behind it under this unit id.
NOT_THERE = (0x0A, 0x0B)
#: Places in a row that are never answered, until the area counts as silent.
SILENT = 3


class Span(Struct, frozen=True):
    """Places that can be read, both ends included."""

    first: int
    last: int


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
        total = len(self.found) * len(areas) * (last - first + 1)
        done = 0
        for one in self.found:
            for area in areas:
                step = MOST[area]
                for start in range(first, last + 1, step):
                    yield Progress(f"unit {one.unit} {area}:{start}", done, total)
                    end = min(start + step, last + 1)
                    done += end - start
                    if not await self._search(one, area, start, end - start):
                        done += last + 1 - end
                        break

    async def _search(self, one: UnitFound, area: Area, start: int, count: int) -> bool:
        """Look at one stretch. False where the area is not worth going on with."""
        waiting = [(start, count)]
        silent = 0
        while waiting:
            offset, size = waiting.pop()
            reply = await self._read(one.unit, area, offset, size)
            if reply is None:
                silent += 1
                if silent >= SILENT:
                    return False
            elif reply.code == ILLEGAL_FUNCTION:
                return False
            elif not reply.code:
                silent = 0
                _add(one.areas.setdefault(area, []), offset, size)
                one.most[area] = max(one.most.get(area, 0), size)
                continue
            if size > SINGLES:
                waiting += [(offset + size // 2, size - size // 2), (offset, size // 2)]
            elif size > 1:
                waiting += [(offset + step, 1) for step in reversed(range(size))]
        return True

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


def _add(spans: list[Span], offset: int, count: int) -> None:
    if spans and spans[-1].last + 1 == offset:
        spans[-1] = Span(spans[-1].first, offset + count - 1)
    else:
        spans.append(Span(offset, offset + count - 1))


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
    return one.most.get(area, MOST[area]) < min(longest, MOST[area])
