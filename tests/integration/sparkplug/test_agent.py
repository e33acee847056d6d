"""The agent as a process: scans of a counting machine, through cuts and kills, to a host that lost nothing."""

from __future__ import annotations

from pathlib import Path

from agent.consumer.sparkplug.wire import decode
from agent.core.clock import SystemClock
from agent.simulator.modbus import ModbusServer, Unit
from tests.support.agent import AgentProcess
from tests.support.load import CountingMemory
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import Observer, observing
from tests.support.sparkplug_tap import Tap
from tests.support.sparkplug_wire import WireMonitor
from tests.support.waiting import eventually


class Host:
    """Keeps every value of the counting register that it was told, with the aliases of the births."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def heard(self) -> dict[int, set[int]]:
        """Scan number → times it was said for."""
        aliases: dict[int, str] = {}
        scans: dict[int, set[int]] = {}
        for one in list(self._observer.seen):
            kind = one.topic.split("/")[2]
            if kind not in ("DBIRTH", "DDATA"):
                continue
            for metric in decode(one.payload).metrics:
                if metric.alias is not None and metric.name is not None:
                    aliases[metric.alias] = metric.name
                name = metric.name or aliases[metric.alias or 0]
                if name == "scan" and isinstance(metric.value, int) and metric.timestamp is not None:
                    scans.setdefault(metric.value, set()).add(metric.timestamp)
        return scans

    async def hears_more(self) -> None:
        """Wait until it has heard of a good many more scans."""
        goal = max(self.heard(), default=0) + 30
        await eventually(lambda: max(self.heard(), default=0) >= goal)


async def goes_on(memory: CountingMemory) -> None:
    """Wait until the machine was asked some more."""
    goal = memory.scans + 30
    await eventually(lambda: memory.scans >= goal)


async def test_nothing_is_lost_between_machine_and_host(tmp_path: Path, mosquitto: Mosquitto):
    """Each scan arrives, with one time only; the wire shows no violation."""
    memory = CountingMemory()
    monitor = WireMonitor(SystemClock().now_ms)
    tap = Tap(mosquitto.port, monitor)
    async with (
        ModbusServer({1: Unit(memory)}) as machine,
        observing(mosquitto.port, "spBv1.0/#") as observer,
        tap.open(),
    ):
        host = Host(observer)
        device = {
            "type": "modbus",
            "url": machine.url,
            "interval": "20ms",
            "timeout": "5s",
            "tags": {"scan": {"address": "holding:0"}, "scaled": {"address": "holding:1", "scale": 0.5}},
        }
        publisher = {
            "type": "mqtt",
            "url": tap.url,
            "keep_alive": "1s",
            "replay": {"max_rate": "500/s"},
            "encoder": {"type": "sparkplug_b", "group": "plant"},
        }
        with AgentProcess(tmp_path, publishers={"scada": publisher}, devices={"counter": device}) as agent:
            unread: set[int] = set()  # asked of the machine, and not yet on disk when the agent was killed
            for trouble in ("cut", "freeze", "kill"):
                await agent.start()
                await host.hears_more()
                if trouble == "freeze":
                    tap.freeze()
                if trouble != "kill":
                    await goes_on(memory)
                    tap.cut()
                    tap.thaw()
                    await host.hears_more()
                agent.kill()
                unread |= set(range(memory.scans - 2, memory.scans + 3))  # one more may be on its way
            await agent.start()
            last = memory.scans + 30
            await eventually(lambda: max(host.heard(), default=0) >= last)
            await eventually(lambda: not _missing(host, last) - unread, what="every scan is heard")
            assert await agent.stop() == 0
    twice = {scan: times for scan, times in host.heard().items() if len(times) > 1}
    assert twice == {}
    assert monitor.ledger.ok, monitor.ledger.violations()


def _missing(host: Host, last: int) -> set[int]:
    heard = host.heard()
    return {scan for scan in range(min(heard), last + 1) if scan not in heard}
