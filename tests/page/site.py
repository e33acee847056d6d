"""A small factory for the page: a healthy gateway and one in trouble, with real devices and a real broker.

Started once a worker; what a test breaks it mends.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config.model import Config
from agent.simulator.machines import Meter, Press
from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import METER_POINTS, PRESS_POINTS, Memory, Point
from tests.support.agent import AgentProcess
from tests.support.faketime import FakeTime
from tests.support.mosquitto import Mosquitto

METERS = 6
CELLS = 3000
TAGS = 300  #: of the gateway in trouble
TOKEN = "a-token-of-the-night-shift"

_TYPES = {"int16": 1, "uint16": 1, "uint32": 2, "float32": 2, "uint64": 4}


def _tags(points: tuple[Point, ...]) -> dict[str, dict[str, Any]]:
    tags: dict[str, dict[str, Any]] = {}
    for point in points:
        bit = "" if point.bit is None else f".{point.bit}"
        tag: dict[str, Any] = {"address": f"{point.area}:{point.address}{bit}"}
        if point.type not in ("bool", "uint16"):
            tag["type"] = point.type
        if point.type == "string":
            tag |= {"length": point.length, "interval": "once"}
        if point.order != "ABCD":
            tag["byte_order"] = point.order
        if point.scale != 1:
            tag |= {"scale": point.scale, "round": 2}
        if point.type == "float32":
            tag["round"] = 2
        if point.unit:
            tag["unit"] = point.unit
        tags[point.name] = tag
    return tags


@dataclass
class Site:
    """The healthy gateway: two presses, six meters behind a gateway, a battery with thousands of cells."""

    agent: AgentProcess
    broker: Mosquitto
    press: ModbusServer
    gateway: ModbusServer
    battery: ModbusServer
    url: str

    @property
    def second_press(self) -> Unit:
        """Press-02."""
        return self.press.units[2]


def _device(server: ModbusServer, tags: dict[str, Any], unit: int = 1, **more: Any) -> dict[str, Any]:
    known = {"type": "modbus", "url": server.url, "unit_id": unit, "interval": "2s", "timeout": "1s"}
    return known | {"tags": tags} | more


@asynccontextmanager
async def healthy(folder: Path, elapsed: Any, *, spare: str = "spare") -> AsyncIterator[Site]:
    """All well. `spare`: the name of the disabled device."""
    cells = Memory()
    cells.fill("holding", 0, [3200 + number % 57 for number in range(CELLS)])
    press = ModbusServer({unit: Unit(machine=Press(unit), points=PRESS_POINTS) for unit in (1, 2)}, elapsed=elapsed)
    gateway = ModbusServer(
        {unit: Unit(machine=Meter(unit), points=METER_POINTS) for unit in range(1, METERS + 1)}, elapsed=elapsed
    )
    battery = ModbusServer({1: Unit(memory=cells)})
    broker = Mosquitto(_made(folder / "broker"))
    broker.start()
    try:
        async with press, gateway, battery:
            devices = {
                "press-01": _device(press, _tags(PRESS_POINTS), 1, description="hydraulic press, hall 2"),
                "press-02": _device(press, _tags(PRESS_POINTS), 2),
                "battery": _device(
                    battery,
                    {f"cell_{number:04}": {"address": f"holding:{number}", "scale": 0.001, "round": 3, "unit": "V"}
                     for number in range(CELLS)},
                    interval="5s",
                ),
                **{
                    f"meter-{unit:02}": _device(gateway, _tags(METER_POINTS), unit)
                    for unit in range(1, METERS + 1)
                },
                spare: _device(press, {"running": {"address": "coil:0"}}, 7, enabled=False, description="x" * 100),
            }  # fmt: skip
            publishers = {"plant": {"type": "mqtt", "url": broker.url}}
            with AgentProcess(_made(folder / "agent"), publishers=publishers, devices=devices) as agent:
                if "history" in Config.model_fields:
                    agent.configure(agent.document | {"history": {"keep": "48h"}})
                await agent.start()
                yield Site(agent, broker, press, gateway, battery, f"http://127.0.0.1:{agent.port}")
    finally:
        broker.kill()


@asynccontextmanager
async def sick(folder: Path) -> AsyncIterator[AgentProcess]:
    """Its clock was never set, one broker is dead and its outbox full, the other refuses the password. With a login."""
    memory = Memory()
    memory.fill("holding", 0, list(range(TAGS)))
    server = ModbusServer({1: Unit(memory=memory, refused={("holding", 7)})})
    guarded = _made(folder / "guarded")
    (guarded / "passwords").write_text("")
    broker = Mosquitto(guarded, f"password_file {guarded / 'passwords'}", anonymous=False)
    broker.start()
    home = _made(folder / "agent")
    for name, secret in {"token": TOKEN, "password": "not-this-one"}.items():
        (home / name).write_text(secret)
        (home / name).chmod(0o600)
    try:
        async with server:
            tags = {f"r{number}": {"address": f"holding:{number}"} for number in range(TAGS)}
            publishers = {
                "cloud": {"type": "mqtt", "url": "mqtt://127.0.0.1:1"},
                "plant": {
                    "type": "mqtt", "url": broker.url, "username": "gw", "password_file": str(home / "password"),
                },
            }  # fmt: skip
            devices = {"press": _device(server, tags, interval="1s")}
            outbox = {"max_bytes": "64KiB"}
            with AgentProcess(home, publishers=publishers, devices=devices, outbox=outbox) as agent:
                http = {"host": "0.0.0.0", "port": agent.port, "auth": {"token_file": str(home / "token")}}
                agent.configure(agent.document | {"http": http})
                with _never_set(folder):
                    await agent.start()
                yield agent
    finally:
        broker.kill()


@contextmanager
def _never_set(folder: Path) -> Iterator[None]:
    """What is started here believes that it is 1976."""
    fake, before = FakeTime(folder), dict(os.environ)
    fake.set(-50 * 365.25 * 86_400)
    del fake.environment["FAKETIME_NO_CACHE"]  # it never changes, and looking every time is slow
    os.environ.update(fake.environment)
    try:
        yield
    finally:
        for name in fake.environment:
            os.environ.pop(name, None)
        os.environ.update(before)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
