"""What machines look like on the wire: register maps and node lists. Pure.

Words: a *point* is one value of a Modbus device with its place, a *node* one variable of an OPC UA server.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.address.paths import BrowsePath
from agent.simulator.machines import State, Value

Area = Literal["coil", "discrete", "input", "holding"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
Kind = Literal["bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"]

CNC_NAMESPACE = "urn:acme:cnc"

_FORMATS = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q",
    "float32": ">f", "float64": ">d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a Modbus device. raw = value / scale, rounded for integer types."""

    name: str
    area: Area
    address: int
    type: Kind = "uint16"
    bit: int | None = None  #: of a register; bit 0 is the least significant
    order: Order = "ABCD"
    scale: float = 1.0
    length: int = 0  #: characters, for strings
    unit: str | None = None

    def registers(self, value: Value) -> list[int]:
        """The register words of `value`; not for coils, discrete inputs and bits."""
        if self.type == "string":
            data = str(value).encode()[: self.length].ljust(self.length + self.length % 2, b"\0")
        else:
            assert isinstance(value, int | float)  # noqa: S101  # the maps below pair numbers with numeric types
            raw = value / self.scale if self.scale != 1.0 else value
            data = struct.pack(_FORMATS[self.type], raw if self.type.startswith("float") else round(raw))
        words = [int.from_bytes(data[index : index + 2]) for index in range(0, len(data), 2)]
        if self.order in ("CDAB", "DCBA") and self.type != "string":
            words.reverse()
        if self.order in ("BADC", "DCBA"):
            words = [(word & 0xFF) << 8 | word >> 8 for word in words]
        return words


class Memory:
    """The four areas of one Modbus unit. What was never written does not exist."""

    def __init__(self) -> None:
        self._cells: dict[Area, dict[int, int]] = {"coil": {}, "discrete": {}, "input": {}, "holding": {}}

    def fill(self, area: Area, address: int, values: list[int] | list[bool]) -> None:
        """Set raw cells."""
        self._cells[area].update(enumerate(map(int, values), address))

    def put(self, point: Point, value: Value) -> None:
        """Set what `point` covers."""
        cells = self._cells[point.area]
        if point.bit is not None:
            mask = 1 << point.bit
            cells[point.address] = cells.get(point.address, 0) & ~mask | (mask if value else 0)
        elif point.area in ("coil", "discrete"):
            cells[point.address] = int(bool(value))
        else:
            cells.update(enumerate(point.registers(value), point.address))

    def put_all(self, points: tuple[Point, ...], state: State) -> None:
        """Set every point of a machine."""
        for point in points:
            self.put(point, state[point.name])

    def read(self, area: Area, address: int, count: int) -> list[int] | None:
        """`count` cells; None where one of them does not exist."""
        cells = self._cells[area]
        try:
            return [cells[place] for place in range(address, address + count)]
        except KeyError:
            return None


PRESS_POINTS = (
    Point("running", "coil", 0, "bool"),
    Point("guard_closed", "coil", 1, "bool"),
    Point("emergency_stop", "discrete", 0, "bool"),
    Point("tonnage", "holding", 0, "float32", unit="kN"),
    Point("oil_temperature", "holding", 2, "int16", scale=0.1, unit="Cel"),
    Point("stroke_position", "holding", 3, "uint16", scale=0.1, unit="mm"),
    Point("part_count", "holding", 4, "uint32"),
    Point("strokes_per_minute", "holding", 6, "uint16", unit="1/min"),
    Point("state", "holding", 7, "uint16"),
    Point("total_strokes", "holding", 8, "uint64"),
    Point("serial_number", "holding", 100, "string", length=16),
    Point("overload", "input", 10, "bool", bit=4),
    Point("oil_low", "input", 10, "bool", bit=5),
    Point("lubrication_due", "input", 10, "bool", bit=6),
    Point("vibration", "input", 11, "uint16", scale=0.01, unit="mm/s"),
)

METER_POINTS = (
    *(Point(f"voltage_l{line}", "input", 2 * line - 2, "float32", order="CDAB", unit="V") for line in (1, 2, 3)),
    *(Point(f"current_l{line}", "input", 2 * line + 4, "float32", order="CDAB", unit="A") for line in (1, 2, 3)),
    Point("power", "input", 12, "float32", order="CDAB", unit="W"),
    Point("power_factor", "input", 14, "float32", order="CDAB", unit="1"),
    Point("frequency", "input", 16, "float32", order="CDAB", unit="Hz"),
    Point("energy_import", "holding", 0, "uint64", unit="W.h"),
    Point("energy_reactive", "holding", 4, "uint32", unit="var.h"),
    Point("cabinet_temperature", "holding", 6, "int16", scale=0.1, unit="Cel"),
    Point("breaker_closed", "discrete", 0, "bool"),
)


class Below(NamedTuple):
    """Where a node lies: along these browse names, from a node that is made where it is new."""

    root: NodeAddress
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodePoint:
    """One variable of an OPC UA server, built-in type by name; its node id is its name in the server's namespace."""

    name: str
    type: str
    unit: str | None = None
    place: NodeAddress | BrowsePath | Below | None = None  #: where it is instead
    notifies: bool = False  #: it is an object that events come from, and has no value


CNC_NODES = (
    NodePoint("Mode", "String"),
    NodePoint("Program", "String"),
    NodePoint("ProgramStarted", "DateTime"),
    NodePoint("Spindle.Speed", "Double", "1/min"),
    NodePoint("Spindle.Load", "Float", "%"),
    NodePoint("Spindle.Running", "Boolean"),
    NodePoint("Tool.Number", "UInt16"),
    NodePoint("Tool.Temperature", "Float", "Cel"),
    NodePoint("Axis.X", "Double", "mm"),
    NodePoint("Axis.Y", "Double", "mm"),
    NodePoint("Axis.Z", "Double", "mm"),
    NodePoint("Feed.Override", "UInt16", "%"),
    NodePoint("PartCount", "UInt32"),
    NodePoint("CuttingSeconds", "UInt64", "s"),
    NodePoint("Alarm.Active", "Boolean"),
    NodePoint("Alarm.Code", "Int32"),
    NodePoint("Alarm.Text", "String"),
)
