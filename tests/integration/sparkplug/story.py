"""Everything an edge node may live through, told over real brokers and recorded on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from agent.core.clock import SystemClock
from agent.core.flow import Batch, Reading
from agent.encoders.sparkplug.schema import Payload
from tests.integration.sparkplug.conftest import VALUES, Plant
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import Observer, observing
from tests.support.sparkplug_tap import Tap
from tests.support.sparkplug_wire import WireMonitor
from tests.support.waiting import eventually

NCMD = "spBv1.0/plant/NCMD/gw-01"
DCMD = "spBv1.0/plant/DCMD/gw-01/press"
STATE = "spBv1.0/STATE/scada"


def command(*metrics: dict[str, Any], **payload: Any) -> bytes:
    """A command as a host would send it."""
    message = Payload(**payload)
    for metric in metrics:
        message.metrics.add(**metric)
    return bytes(message.SerializeToString())


REBIRTH = command({"name": "Node Control/Rebirth", "datatype": 11, "boolean_value": True}, timestamp=1)

#: What hosts (and others) may send, and what must harm nothing.
BAD_COMMANDS: dict[str, tuple[str, bytes]] = {
    "unknown name": (NCMD, command({"name": "nobody", "datatype": 3, "int_value": 1}, timestamp=1)),
    "unknown alias": (NCMD, command({"alias": 9999, "int_value": 1}, timestamp=1)),
    "rebirth false": (NCMD, command({"name": "Node Control/Rebirth", "boolean_value": False}, timestamp=1)),
    "wrong type": (NCMD, command({"name": "Node Control/Rebirth", "string_value": "true"})),
    "with seq": (NCMD, command({"name": "x", "int_value": 1}, seq=7)),
    "garbage": (NCMD, b"\xff\x00garbage"),
    "nothing": (NCMD, b""),
    "a write": (DCMD, command({"name": "temperature", "datatype": 9, "float_value": 99.0}, timestamp=1)),
    "garbage to a device": (DCMD, b"\x12\xff"),
    "bulk": (DCMD, command(*({"name": f"m{n}", "int_value": n} for n in range(500)))),
}


class Call(NamedTuple):
    """One thing the tap told the monitor."""

    now: int
    name: str
    args: tuple[Any, ...]
    keys: dict[str, Any]


def replayed(calls: Iterable[Call]) -> WireMonitor:
    """A fresh monitor that has been told all this."""
    now = 0
    monitor = WireMonitor(lambda: now, primary_host="scada")
    for call in calls:
        now = call.now
        getattr(monitor, call.name)(*call.args, **call.keys)
    return monitor


class Recorder(WireMonitor):
    """A monitor that remembers what it was told."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms, primary_host="scada")
        self.calls: list[Call] = []
        for name in ("connected", "accepted", "subscribed", "published", "delivered", "disconnected", "closed", "end"):
            setattr(self, name, self._remembering(name, now_ms))

    def _remembering(self, name: str, now_ms: Callable[[], int]) -> Callable[..., None]:
        told = getattr(super(), name)

        def tell(*args: Any, **keys: Any) -> None:
            self.calls.append(Call(now_ms(), name, args, keys))
            told(*args, **keys)

        return tell


class Story:
    """Two brokers behind taps, one plant, and somebody who plays the host."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder, self.version = folder, version
        self.clock = SystemClock()
        self.monitor = Recorder(self.clock.now_ms)
        self.brokers: list[Mosquitto] = []
        self.hosts: list[Observer] = []

    async def tell(self) -> None:
        """From the first connection to the goodbye."""
        for name in ("a", "b"):
            (self.folder / name).mkdir(parents=True)
            self.brokers.append(Mosquitto(self.folder / name))
        try:
            for broker in self.brokers:
                await asyncio.to_thread(broker.start)
            ports = [broker.port for broker in self.brokers]
            async with (
                observing(ports[0], "spBv1.0/#") as first,
                observing(ports[1], "spBv1.0/#") as second,
                Tap(ports[0], self.monitor).open() as tap_a,
                Tap(ports[1], self.monitor).open() as tap_b,
            ):
                self.hosts = [first, second]
                plant = Plant(
                    self.folder, tap_a.url, mqtt={"other_urls": [tap_b.url], "version": self.version},
                    primary_host="scada",
                )  # fmt: skip
                await self._acts(plant, tap_b)
                self.monitor.end()
        finally:
            for broker in self.brokers:
                broker.kill()

    async def _acts(self, plant: Plant, tap_b: Tap) -> None:
        plant.add("press")
        plant.add("meter", online=False)
        plant.read("press", **VALUES)
        async with plant.running():
            await eventually(lambda: plant.route.reason and "scada" in plant.route.reason)
            await self.state(0, online=True)
            await self.counted(0, "NBIRTH", 1)
            await self._data(plant)
            await self._devices(plant)
            await self._commands(plant)
            await self.state(0, online=False, age=60_000)  # an old word: ignored
            plant.read("press", temperature=70.0)
            await self.counted(0, "DDATA", self.count(0, "DDATA") + 1)
            await self.state(0, online=False)
            await self.counted(0, "NDEATH", 1)
            await eventually(lambda: plant.route.state == "offline")
            plant.read("press", temperature=71.0)  # waits, and becomes history
            await eventually(lambda: tap_b.connections)
            await self.state(1, online=True)
            await self.counted(1, "DDATA", 1, 10)
            births = self.count(1, "NBIRTH")
            tap_b.cut()
            await self.counted(1, "NBIRTH", births + 1, 30)  # over the first one, where the host is still offline
            plant.read("press", temperature=72.0)
            await self.counted(1, "DDATA", self.count(1, "DDATA") + 1)

    async def _data(self, plant: Plant) -> None:
        now = self.clock.now_ms()
        before = self.count(0, "DDATA")
        plant.take(
            Batch(
                device="press",
                ts=now,
                readings=[
                    Reading(tag="count", value=5, ts=now + 2, quality="good"),
                    Reading(tag="temperature", value=62.0, ts=now + 1, quality="good"),
                    Reading(tag="delta", value=None, ts=now + 3, quality="bad", code="BadSensorFailure"),
                    Reading(tag="offset", value=9, ts=now + 3, quality="uncertain", code="Uncertain", reason="clamped"),
                ],
                bad=1,
                uncertain=1,
            )
        )
        plant.read("press", delta=-5, offset=10, ts=now + 4)
        await self.counted(0, "DDATA", before + 2)
        plant.read("press", mystery=1.5, ts=now + 5)  # not the type it was born with
        await self.counted(0, "DDATA", before + 3)
        plant.gap("press")
        await self.counted(0, "NDATA", 1)

    async def _devices(self, plant: Plant) -> None:
        dead, born = self.count(0, "DDEATH"), self.count(0, "DBIRTH")
        plant.lose("press")
        await self.counted(0, "DDEATH", dead + 1)
        plant.online("press")
        plant.online("meter")
        plant.read("meter", temperature=1.5)
        await self.counted(0, "DBIRTH", born + 2)

    async def _commands(self, plant: Plant) -> None:
        for topic, payload in BAD_COMMANDS.values():
            await self.hosts[0].publish(topic, payload)
        births = self.count(0, "NBIRTH")
        await self.hosts[0].publish(NCMD, REBIRTH)
        await self.counted(0, "NBIRTH", births + 1)
        before = self.count(0, "DDATA")
        plant.read("press", temperature=65.0)
        await self.counted(0, "DDATA", before + 1)

    async def state(self, server: int, *, online: bool, age: int = 0) -> None:
        payload = json.dumps({"online": online, "timestamp": self.clock.now_ms() - age}).encode()
        await self.hosts[server].publish(STATE, payload, retain=age == 0)

    def count(self, server: int, kind: str) -> int:
        return sum(f"/{kind}/" in one.topic for one in list(self.hosts[server].seen))

    async def counted(self, server: int, kind: str, number: int, timeout: float = 5.0) -> None:
        await eventually(lambda: self.count(server, kind) >= number, timeout, f"{number} {kind} on {server}")
