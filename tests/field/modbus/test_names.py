"""A dead resolver: most devices are reached by names that hang, and nobody else notices."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.modbus.media import medium
from tests.faults.southbound.conftest import modbus, stage
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

SOURCE = Path(__file__).with_name("resolver.c")


async def test_a_dead_resolver_hurts_no_device_that_resolves(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices by address and by names that resolve are read beside a dozen whose names hang; the agent stops in time.

    So are publishers: one reaches its broker by a name with two addresses, of which one refuses, beside one that hangs.
    """
    library = tmp_path / "resolver.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    async with medium("tcp") as by_address, medium("tcp") as by_name, medium("rtu+tcp") as stream, medium("tcp") as two:
        devices = {f"hung{number}": modbus(f"tcp://plc{number}.hang.test:502") for number in range(12)}
        devices |= {
            "by_address": modbus(by_address.url),
            "by_name": modbus(by_name.url.replace("127.0.0.1", "good.test")),
            "stream": modbus(stream.url.replace("127.0.0.1", "serial.test")),
            "two": modbus(two.url.replace("127.0.0.1", "two.test")),
        }
        brokers = {
            name: {
                "type": "mqtt",
                "url": f"mqtt://{host}:{mosquitto.port}",
                "root": f"other/{name}",
                "connect_timeout": "5s",
            }
            for name, host in (("lost", "broker.hang.test"), ("named", "two.test"))
        }
        async with stage(tmp_path, mosquitto, publishers=brokers)(devices) as (agent, ear):
            for name in ("by_address", "by_name", "stream", "two"):
                await ear.good(name, [f"r{offset}" for offset in range(8)])
            reason = "plc0.hang.test:502: cannot resolve 'plc0.hang.test': no answer of the resolver within 5 s"
            await eventually(lambda: ear.state("hung0").get("reason") == reason, what=reason)
            await ear.goes_on("by_name", "r0", 5)

            async def online() -> bool:
                return bool((await agent.status())["publishers"]["named"]["state"] == "online")

            await eventually(online, what="the publisher with two addresses is online")
            (line,) = await eventually(lambda: agent.events("publisher.offline")[:1], what="the other one is offline")
            assert line["publisher"] == "lost"
            assert "cannot resolve 'broker.hang.test'" in line["reason"]
        assert "never retrieved" not in agent.log_text
