"""A plant out of a description: what `edge-agent simulate FILE` reads.

    seed: 7
    devices:
      press-01: {kind: press, port: 5020}
      meter-01: {kind: meter, port: 5021, unit_id: 1}
      cnc-07:   {kind: cnc, port: 4840}
      raw-01:   {kind: registers, port: 5022, holding: {0: [1, 2, 3]}, coil: {0: [true, false]}}

Modbus devices with the same port are units of one server, as behind a gateway.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from agent.core.clock import Clock, SystemClock
from agent.core.errors import ConfigError, Mistake
from agent.settings.model import Model
from agent.settings.values import Name
from agent.simulator.machines import Cnc, Machine, Meter, Press
from agent.simulator.plant import Device, ModbusDevice, OpcUaDevice, Plant, PlantClock
from agent.simulator.points import CNC_NAMESPACE, CNC_NODES, METER_POINTS, PRESS_POINTS, Area, Memory, Point

Port = Annotated[int, Field(ge=0, le=65535)]
UnitId = Annotated[int, Field(ge=0, le=255)]
Address = Annotated[int, Field(ge=0, le=65535)]
Word = Annotated[int, Field(ge=0, le=65535)]


class _Described(Model):
    port: Port = 0
    """0: a free one."""


class _Modbus(_Described):
    unit_id: UnitId = 1
    """Unit behind the port."""


class PressDescription(_Modbus):
    """A stamping press."""

    kind: Literal["press"]
    """Kind of machine."""


class MeterDescription(_Modbus):
    """An energy meter."""

    kind: Literal["meter"]
    """Kind of machine."""


class CncDescription(_Described):
    """A machining centre (OPC UA)."""

    kind: Literal["cnc"]
    """Kind of machine."""


class RegistersDescription(_Modbus):
    """A Modbus unit whose cells are given and stay."""

    kind: Literal["registers"]
    """Kind of machine."""
    coil: dict[Address, list[bool] | bool] = Field(default={})
    """First address → values."""
    discrete: dict[Address, list[bool] | bool] = Field(default={})
    """First address → values."""
    input: dict[Address, list[Word] | Word] = Field(default={})
    """First address → values."""
    holding: dict[Address, list[Word] | Word] = Field(default={})
    """First address → values."""


AnyDevice = Annotated[
    PressDescription | MeterDescription | CncDescription | RegistersDescription, Field(discriminator="kind")
]


class PlantDescription(Model):
    """The whole file."""

    seed: int = 1
    """The same seed gives the same machines."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    age: Annotated[float, Field(ge=0)] = 600.0
    """Seconds the machines have been running when the plant opens."""
    devices: Annotated[dict[Name, AnyDevice], Field(min_length=1)]
    """Devices by name."""


_MACHINES: dict[str, tuple[type[Press | Meter], tuple[Point, ...]]] = {
    "press": (Press, PRESS_POINTS),
    "meter": (Meter, METER_POINTS),
}


def load(path: Path) -> PlantDescription:
    """The description in a YAML file. Raises ConfigError with every mistake."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(str(path), None, f"cannot be read: {why}", "name the file of a plant") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise ConfigError(str(path), line, f"no YAML: {getattr(error, 'problem', error)}") from error
    try:
        return PlantDescription.model_validate(data)
    except ValidationError as error:
        mistakes = [
            Mistake(str(path), None, f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}")
            for fault in error.errors()
        ]
        raise ConfigError.of(mistakes) from error


def plant_of(
    description: PlantDescription | Mapping[str, Any], *, clock: Clock | None = None, time: PlantClock | None = None
) -> Plant:
    """The plant, not yet open. Each device's seed is made of the plant's and its name."""
    described = (
        description if isinstance(description, PlantDescription) else PlantDescription.model_validate(dict(description))
    )
    elapsed = time or PlantClock(clock or SystemClock(), described.age)
    gateways: dict[int, Any] = {}
    devices: dict[str, Device] = {}
    for name, entry in described.devices.items():
        seed = described.seed ^ zlib.crc32(name.encode())
        if isinstance(entry, CncDescription):
            devices[name] = OpcUaDevice(
                name, Cnc(seed), CNC_NODES, namespace=CNC_NAMESPACE, host=described.host, port=entry.port
            )
        else:
            devices[name] = _modbus(name, entry, seed, described.host, elapsed, gateways)
    return Plant(devices, elapsed)


def _modbus(
    name: str, entry: PressDescription | MeterDescription | RegistersDescription, seed: int, host: str,
    elapsed: PlantClock, gateways: dict[int, Any],
) -> ModbusDevice:  # fmt: skip
    from agent.simulator.modbus import ModbusServer, Unit

    server = gateways.get(entry.port) if entry.port else None
    if server is None:
        server = gateways[entry.port] = ModbusServer({}, elapsed=elapsed, host=host, port=entry.port)
    if entry.unit_id in server.units:
        raise ConfigError("plant", None, f"devices.{name}: port {entry.port} already has a unit {entry.unit_id}")
    if isinstance(entry, RegistersDescription):
        server.units[entry.unit_id] = Unit(memory=_memory(entry))
    else:
        machine_type, points = _MACHINES[entry.kind]
        machine: Machine = machine_type(seed)
        server.units[entry.unit_id] = Unit(machine=machine, points=points)
    return ModbusDevice(name, server, entry.unit_id)


def _memory(entry: RegistersDescription) -> Memory:
    memory = Memory()
    areas: dict[Area, Mapping[int, Any]] = {
        "coil": entry.coil, "discrete": entry.discrete, "input": entry.input, "holding": entry.holding,
    }  # fmt: skip
    for area, cells in areas.items():
        for address, values in cells.items():
            memory.fill(area, address, values if isinstance(values, list) else [values])
    return memory
