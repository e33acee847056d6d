"""A configuration → a plant of stand-ins on loopback. Nothing of it reaches a real device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.collectors.modbus.config import ModbusConfig
from agent.collectors.opcua.config import OpcUaConfig
from agent.core.clock import SystemClock
from agent.settings.devices import DeviceConfig
from agent.settings.values import is_loopback
from agent.simulator.broker import is_free
from agent.simulator.modbus import ModbusServer
from agent.simulator.plant import ModbusDevice, OpcUaDevice, Plant, PlantClock, SimulatedDevice
from agent.simulator.rehearsal.nodes import NodeMachine
from agent.simulator.rehearsal.registers import StandIn

HOST = "127.0.0.1"
USERS = 1024  #: below it ports are the system's
NAMESPACE = "urn:edge-agent:rehearsal"


@dataclass(frozen=True)
class Rehearsal:
    """The plant, not yet open, and what of the configuration is in it."""

    plant: Plant
    homes: Mapping[str, SimulatedDevice]  #: by device of the configuration; several may share one server
    left_out: Mapping[str, str]  #: by device: its type, which nobody here can simulate


def rehearsal_of(devices: Mapping[str, DeviceConfig]) -> Rehearsal:
    """Stand-ins for all devices: those at one place share a server, as they share a bus or a server in the plant."""
    clock = SystemClock()
    time = PlantClock(clock, 0.0)
    gateways: dict[str, ModbusServer] = {}
    servers: dict[str, dict[str, OpcUaConfig]] = defaultdict(dict)
    homes: dict[str, SimulatedDevice] = {}
    left_out: dict[str, str] = {}
    for name, device in devices.items():
        if isinstance(device, ModbusConfig):
            place = f"{device.target.place} {device.dtu.registration or ''}"
            gateway = gateways.setdefault(place, ModbusServer({}, elapsed=time, host=HOST, port=_port(device.url)))
            unit = gateway.units.setdefault(device.unit_id, StandIn(clock.now_ms))
            assert isinstance(unit, StandIn)  # noqa: S101  # nobody else fills these
            unit.take_in(name, device)
            homes[name] = ModbusDevice(name, gateway, device.unit_id)
        elif isinstance(device, OpcUaConfig):
            servers[device.where()][name] = device
        else:
            left_out[name] = device.type
    for group in servers.values():
        first = next(iter(group))
        machine = NodeMachine(group)
        server = OpcUaDevice(
            first, machine, machine.nodes, namespace=NAMESPACE, host=HOST, port=_port(group[first].url)
        )
        homes.update(dict.fromkeys(group, server))
    ordered = {name: homes[name] for name in devices if name in homes}
    return Rehearsal(Plant({home.name: home for home in ordered.values()}, time), ordered, left_out)


def _port(url: str | None) -> int:
    """That of an address on loopback stays where nobody has it; else any."""
    if url is None or not url.startswith(("tcp://", "opc.tcp://")):
        return 0
    parts = urlsplit(url)
    port = parts.port or 0
    return port if port >= USERS and is_loopback(parts.hostname or "") and is_free(port) else 0
