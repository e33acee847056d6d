"""A dead resolver: most devices are reached by names that hang, and nobody else notices."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.modbus.media import medium
from tests.faults.southbound.conftest import Running, modbus
from tests.support.waiting import eventually

SOURCE = Path(__file__).with_name("resolver.c")


async def test_a_dead_resolver_hurts_no_device_that_resolves(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices by address and by names that resolve are read beside a dozen whose names hang; the agent stops in time.

    Of a name with two addresses the one that answers is taken.
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
        async with running(devices) as (agent, ear):
            for name in ("by_address", "by_name", "stream", "two"):
                await ear.good(name, [f"r{offset}" for offset in range(8)])
            reason = "plc0.hang.test:502: cannot resolve 'plc0.hang.test': no answer of the resolver within 5 s"
            await eventually(lambda: ear.state("hung0").get("reason") == reason, what=reason)
            await ear.goes_on("by_name", "r0", 5)
        assert "never retrieved" not in agent.log_text
