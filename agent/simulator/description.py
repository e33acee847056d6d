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

import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agent.config.located import Broken, Map, Place
from agent.config.shape import close
from agent.config.validate import validate
from agent.config.words import show
from agent.config.yaml import parse
from agent.core.clock import SystemClock
from agent.core.errors import ConfigError, Mistake
from agent.core.regular import read_regular
from agent.settings.model import Model
from agent.settings.values import Name
from agent.simulator.machines import Cnc, Machine, Meter, Press
from agent.simulator.plant import ModbusDevice, OpcUaDevice, Plant, PlantClock, SimulatedDevice
from agent.simulator.points import CNC_NAMESPACE, CNC_NODES, METER_POINTS, PRESS_POINTS, Area, Memory, Point

_EXAMPLE = "write for example `devices: {press-01: {kind: press, port: 5020}}`"

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


AnyDevice = PressDescription | MeterDescription | CncDescription | RegistersDescription

_KINDS: Mapping[str, type[AnyDevice]] = {
    "press": PressDescription, "meter": MeterDescription, "cnc": CncDescription, "registers": RegistersDescription,
}  # fmt: skip


class _Head(Model):
    """All but the devices."""

    seed: int = 1
    """The same seed gives the same machines."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    age: Annotated[float, Field(ge=0)] = 600.0
    """Seconds the machines have been running when the plant opens."""


class PlantDescription(_Head):
    """The whole file."""

    devices: Annotated[dict[Name, Annotated[AnyDevice, Field(discriminator="kind")]], Field(min_length=1)]
    """Devices by name."""


_MACHINES: dict[str, tuple[type[Press | Meter], tuple[Point, ...]]] = {
    "press": (Press, PRESS_POINTS),
    "meter": (Meter, METER_POINTS),
}


#: Bytes of a description: reading takes several times as much memory.
_LARGEST = 8 << 20


def load(path: Path) -> PlantDescription:
    """The description in a YAML file. Raises ConfigError with every mistake, each with its line and what to write."""
    try:
        text = read_regular(path, _LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(str(path), None, f"cannot be read: {why}", "name the file of a plant") from error
    mistakes: list[Mistake] = []
    data = parse(text, str(path), os.environ, mistakes)
    if not mistakes and not isinstance(data, Map):
        mistakes.append(Mistake(str(path), 1, "no description of a plant: it has no keys", _EXAMPLE))
    if not isinstance(data, Map):
        raise ConfigError.of(mistakes)
    described = _described(data, mistakes)
    if described is None or mistakes:
        raise ConfigError.of(sorted(mistakes, key=lambda one: one.line or 0))
    return described


def _described(data: Map, mistakes: list[Mistake]) -> PlantDescription | None:
    devices = data.get("devices")
    if "devices" not in data or devices is None or devices == {}:
        mistakes.append(Mistake(*data.place("devices"), "`devices`: there are none", _EXAMPLE))
        return None
    if not isinstance(devices, Map):
        mistakes.append(Mistake(*data.place("devices"), "`devices` is no mapping of names to devices", _EXAMPLE))
        return None
    built = {str(name): _device(str(name), one, devices.place(name), mistakes) for name, one in devices.items()}
    good = {name: one for name, one in built.items() if one is not None}
    mistakes.extend(_claimed_twice(good, devices))
    head = data.copy_as()
    del head["devices"]
    plant = validate(_Head, head, base=Path(), mistakes=mistakes)
    if plant is None or len(good) < len(built):
        return None
    try:
        return PlantDescription(devices=good, **{key: getattr(plant, key) for key in _Head.model_fields})
    except ValidationError as error:  # of what is left: the names of devices
        mistakes.extend(
            Mistake(*data.place("devices"), f"`devices`: {one['msg'].removeprefix('Value error, ')}")
            for one in error.errors()
        )
        return None


def _claimed_twice(devices: Mapping[str, AnyDevice], data: Map) -> Iterator[Mistake]:
    """Devices at one port: units of one Modbus server, each with a unit id of its own, or one OPC UA server alone."""
    seen: list[tuple[str, int, int | None]] = []
    for name, device in devices.items():
        unit = None if isinstance(device, CncDescription) else device.unit_id
        for other, port, held in seen:
            if port and port == device.port and (held == unit or None in (held, unit)):
                reason = (
                    f"`devices.{name}`: {other} has port {port}"
                    + ("" if None in (held, unit) else f", unit {unit},")
                    + " already"
                )
                yield Mistake(*data.place(name), reason, "write another `port:`, or another `unit_id:`")
                break
        seen.append((name, device.port, unit))


def _device(name: str, data: object, place: Place, mistakes: list[Mistake]) -> AnyDevice | None:
    if not isinstance(data, Map):
        mistakes.append(Mistake(*place, f"`devices.{name}` is no mapping", "write {kind: press, port: 5020}"))
        return None
    kind = data.get("kind")
    if isinstance(kind, Broken):
        return None
    if kind is None:
        mistakes.append(Mistake(*place, f"`devices.{name}.kind` is missing", f"write one of {', '.join(_KINDS)}"))
        return None
    model = _KINDS.get(str(kind))
    if model is None:
        guess = close(kind, list(_KINDS))
        hint = f"did you mean `{guess}`?" if guess else f"write one of {', '.join(_KINDS)}"
        mistakes.append(Mistake(*data.place("kind"), f"`devices.{name}.kind`: unknown kind {show(kind)}", hint))
        return None
    return validate(model, data, base=Path(), section=("devices", name), mistakes=mistakes)


def plant_of(description: PlantDescription | Mapping[str, Any]) -> Plant:
    """The plant, not yet open. Each device's seed is made of the plant's and its name."""
    described = (
        description if isinstance(description, PlantDescription) else PlantDescription.model_validate(dict(description))
    )
    elapsed = PlantClock(SystemClock(), described.age)
    gateways: dict[int, Any] = {}
    devices: dict[str, SimulatedDevice] = {}
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
