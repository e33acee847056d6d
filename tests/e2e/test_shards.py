"""Several agents that share one configuration: real processes, one broker, each device read by one of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from agent.config.shards import owner
from agent.simulator.description import plant_of
from agent.simulator.plant import ModbusDevice, Plant
from tests.support.agent import AgentProcess
from tests.support.consumer import Consumer, subscribed
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import Process, agent_command, process
from tests.support.waiting import eventually

#: Of three shards, and of four: two buses that stay with each of the three, and one of each that moves to the fourth.
ROLES = [(shard, new) for shard in range(3) for new in (shard, 3)]


class Listener(Consumer):
    """Also knows which agent a reading came from."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_from: list[tuple[str, str, str, int]] = []  #: agent, device, epoch, seq; live ones
        self.states: list[tuple[str, str | None]] = []  #: device topic, state; None: emptied

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        super().hear(topic, payload, retained=retained)
        if topic.endswith("/readings"):
            told = json.loads(payload)
            if told.get(
                "historical"
            ):  # of the first moment, before the broker was there: it comes beside the live ones
                return
            self.heard_from.append((told["agent"], told["device"], told["epoch"], told["seq"]))
        elif topic.startswith("edge/gw/"):
            state = json.loads(payload).get("state", "catalogue") if payload else None
            self.states.append((topic, state))

    def readers(self, since: int = 0) -> dict[str, set[str]]:
        """Agents by device."""
        found: dict[str, set[str]] = {}
        for agent, device, _, _ in self.heard_from[since:]:
            found.setdefault(device, set()).add(agent)
        return found


def places() -> Iterator[tuple[int, int, int]]:
    """Free ports whose buses have the roles; with each the shard of three and of four."""
    wanted = [*ROLES]
    while wanted:
        port = free_port()
        role = owner(f"tcp://127.0.0.1:{port}", 3), owner(f"tcp://127.0.0.1:{port}", 4)
        if role in wanted:
            wanted.remove(role)
            yield port, *role


class Site:
    """A plant, a configuration for all, and the agents that run."""

    def __init__(self, folder: Path, url: str, plant: Plant, devices: dict[str, tuple[int, int]]) -> None:
        self.folder, self.plant, self.devices = folder, plant, devices
        self._running: dict[int, AsyncExitStack] = {}
        self.agents: dict[int, Process] = {}
        made = {
            f"{name}{unit or ''}": {
                "type": "modbus", "url": plant.device(name).url, "unit_id": unit or 1, "interval": "100ms",
                "tags": {"t": {"address": "holding:0"}},
            }
            for name in devices
            for unit in (None, 2)
        }  # fmt: skip
        document = {
            "agent": {
                "id": "gw", "data_dir": "${DATA_DIR}", "reload": "signal",
                "shard": {"index": "${POD_INDEX}", "count": "${SHARDS}"},
            },
            "http": None,
            "publishers": {"plant": {"type": "mqtt", "url": url}},
            "devices": made,
        }  # fmt: skip
        (folder / "agent.yaml").write_text(json.dumps(document))

    def start(self, index: int, count: int) -> None:
        """Start one agent; does not wait."""
        stack = self._running[index] = AsyncExitStack()
        env = {"DATA_DIR": str(self.folder / f"data-{index}"), "POD_INDEX": str(index), "SHARDS": str(count)}
        command = agent_command("run", "-c", "agent.yaml")
        self.agents[index] = stack.enter_context(process(*command, env=env, cwd=self.folder))

    async def stop(self, index: int) -> None:
        """As its pod is stopped."""
        agent = self.agents.pop(index)
        agent.terminate()
        assert await agent.wait() == 0, agent.tail()
        await self._running.pop(index).aclose()

    async def stop_all(self) -> None:
        """Whatever became of the test."""
        for stack in self._running.values():
            await stack.aclose()

    def dialled(self) -> dict[str, int]:
        """Connections each bus has accepted so far."""
        found = {}
        for name in self.devices:
            device = self.plant.device(name)
            assert isinstance(device, ModbusDevice)
            found[name] = device.server.connections
        return found


@asynccontextmanager
async def site(folder: Path, mosquitto: Mosquitto) -> AsyncIterator[tuple[Site, Listener]]:
    """The plant runs, somebody listens, no agent runs yet."""
    found = list(places())
    devices = {f"m{n}": (three, four) for n, (_, three, four) in enumerate(found)}
    cells = {"kind": "registers", "holding": {0: 7}}
    plant_devices: dict[str, Any] = {}
    for n, (port, _, _) in enumerate(found):
        plant_devices[f"m{n}"] = {**cells, "port": port, "unit_id": 1}
        plant_devices[f"m{n}2"] = {**cells, "port": port, "unit_id": 2}
    async with plant_of({"devices": plant_devices}) as plant, subscribed(mosquitto.url, Listener()) as listener:
        at = Site(folder, mosquitto.url, plant, devices)
        try:
            yield at, listener
        finally:
            await at.stop_all()


async def test_from_three_to_four(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Each device has one reader; who restarts costs nobody else a cycle, and only buses of the new shard move."""
    async with site(tmp_path, mosquitto) as (at, listener):
        for index in range(3):
            at.start(index, 3)
        every = [f"{name}{unit}" for name in at.devices for unit in ("", "2")]
        await listener.heard(3, *every)
        assert listener.readers() == expected(at, 0)
        assert {name: one[-1]["shard"] for name, one in listener.agents.items()} == {
            f"gw-{index}": f"{index}/3" for index in range(3)
        }
        assert set(at.dialled().values()) == {1}

        for index in (2, 1, 0):  # as a StatefulSet does
            roles = {name: at.devices[name[:2]] for name in every}
            others = [
                name for name, (old, new) in roles.items() if old < index or (old > index and new == old)
            ]  # what has moved already waits for the new one
            before = len(listener.heard_from)
            await at.stop(index)
            gone = len(listener.heard_from)
            at.start(index, 4)
            staying = {name for name, role in roles.items() if role == (index, index)}
            await listener.heard(1, *others, *staying)
            assert {name for name in listener.readers(gone) if name in staying} == staying
            for name in others:
                assert_unbroken(listener, name, before)
        moving = {name for name, (_, new) in at.devices.items() if new == 3}
        dialled = at.dialled()
        assert {name: count for name, count in dialled.items() if name in moving} == dict.fromkeys(moving, 1)
        quiet = len(listener.heard_from)
        await listener.heard(3, *(name for name in every if name[:2] not in moving))
        assert not {name for name in listener.readers(quiet) if name[:2] in moving}

        joined = len(listener.heard_from)
        at.start(3, 4)
        await listener.heard(3, *every)
        assert listener.readers(joined) == expected(at, 1)
        assert {name: count - dialled[name] for name, count in at.dialled().items()} == {
            name: int(name in moving) for name in at.devices
        }
        for name in every:
            if name[:2] not in moving:
                assert_unbroken(listener, name, joined)
        assert None not in {state for _, state in listener.states}
        assert "removed" not in {state for _, state in listener.states}
        for index in range(4):
            await at.stop(index)
        await listener.check()


async def test_a_reload_hands_over_in_silence(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """A device whose new address is another shard's is dropped without a word; one that is deleted is removed."""
    ours = (port for port in iter(free_port, 0) if owner(f"tcp://127.0.0.1:{port}", 2) == 0)
    theirs = next(port for port in iter(free_port, 0) if owner(f"tcp://127.0.0.1:{port}", 2) == 1)
    cells = {"kind": "registers", "holding": {0: 7}}
    plant = {name: {**cells, "port": next(ours)} for name in ("moves", "goes", "stays")}
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with plant_of({"devices": plant}), subscribed(mosquitto.url, Listener()) as listener:
        devices = {
            name: {
                "type": "modbus", "url": f"tcp://127.0.0.1:{one['port']}", "interval": "100ms",
                "tags": {"t": {"address": "holding:0"}},
            }
            for name, one in plant.items()
        }  # fmt: skip
        shard = {"id": "gw", "location": ["gw"], "shard": {"index": 0, "count": 2}}
        with AgentProcess(tmp_path, publishers=publishers, devices=devices, agent=shard) as agent:
            await agent.start()
            await listener.heard(2, "moves", "goes", "stays")
            devices["moves"] = {**devices["moves"], "url": f"tcp://127.0.0.1:{theirs}"}
            del devices["goes"]
            said = await agent.reload({**agent.document, "devices": devices})
            assert said["event"] == "config.reloaded"
            await eventually(lambda: ("edge/gw/goes/tags", None) in listener.states, what="it is removed")
            await listener.heard(3, "stays")  # what was on its way has arrived
            quiet = len(listener.heard_from)
            await listener.heard(3, "stays")
            assert listener.readers(quiet).keys() == {"stays"}
            moved = {state for topic, state in listener.states if "/moves/" in topic}
            assert moved <= {"offline", "online", "degraded", "catalogue"}  # a busy machine is late
            assert "removed" in {state for topic, state in listener.states if topic == "edge/gw/goes/status"}
            assert list((await agent.status())["devices"]) == ["stays"]
            assert await agent.stop() == 0


def expected(at: Site, which: int) -> dict[str, set[str]]:
    """The reader of each device with three shards (0) or four (1)."""
    return {f"{name}{unit}": {f"gw-{roles[which]}"} for name, roles in at.devices.items() for unit in ("", "2")}


def assert_unbroken(listener: Listener, device: str, since: int) -> None:
    """One epoch, and each number follows the one before."""
    heard = [(epoch, seq) for _, name, epoch, seq in listener.heard_from[since:] if name == device]
    assert len({epoch for epoch, _ in heard}) == 1, device
    assert [seq for _, seq in heard] == list(range(heard[0][1], heard[0][1] + len(heard))), device
