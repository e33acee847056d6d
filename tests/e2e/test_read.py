"""`edge-agent read`: a configured device, or nothing but an address, against a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.ports import free_port
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually
from tests.unit.workbench.test_orders import registers

FLOAT = registers(50.25, "float32", "CDAB")


@asynccontextmanager
async def device() -> AsyncIterator[ModbusServer]:
    """A float in registers 100 and 101, counters behind it; register 9 is refused."""
    memory = Memory()
    memory.fill("holding", 100, [*FLOAT, 7, 8])
    async with ModbusServer({1: Unit(memory, refused={("holding", 9)})}) as server:
        yield server


async def run(*arguments: str) -> tuple[int, str, str]:
    with process(*agent_command("read", *arguments)) as running:
        code = await running.wait(30)
        return code, running.stdout, running.stderr


async def test_an_address_is_all_it_takes() -> None:
    """A value for programs has tag, value, quality and ts; exit 0."""
    async with device() as server:
        code, out, _ = await run(
            "--url", server.url, "holding:100", "--type", "float32", "--byte-order", "CDAB", "--json"
        )
    assert code == 0
    [reading] = json.loads(out)["readings"]
    assert (reading["tag"], reading["value"], reading["quality"]) == ("holding:100", 50.25, "good")
    assert isinstance(reading["ts"], int)


async def test_a_bad_tag_is_exit_code_1() -> None:
    """It is named with its reason, and the good ones beside it are read."""
    async with device() as server:
        code, out, _ = await run("--url", server.url, "holding:102", "holding:9")
    assert code == 1
    assert "illegal data address" in out
    assert "holding:102" in out


async def test_orders_finds_the_order_of_a_float() -> None:
    """A range in every type and order, the one that was expected first."""
    async with device() as server:
        code, out, _ = await run("--url", server.url, "holding:100..103", "--orders", "--expect", "50", "--json")
    assert code == 0
    first, *_ = json.loads(out)["orders"]
    assert (first["address"], first["type"], first["byte_order"], first["value"]) == (
        "holding:100",
        "float32",
        "CDAB",
        50.25,
    )


async def test_tags_of_a_configured_device(tmp_path: Path) -> None:
    """By name or glob; what is not there is a mistake with a hint."""
    async with device() as server:
        tags = {"speed": {"address": "holding:100", "type": "float32"}, "count_a": {"address": "holding:102"},
                "count_b": {"address": "holding:103"}}  # fmt: skip
        document = {"agent": {"id": "gw"}, "devices": {"press": {"type": "modbus", "url": server.url, "tags": tags}}}
        (tmp_path / "agent.yaml").write_text(json.dumps(document))
        config = str(tmp_path / "agent.yaml")
        code, out, _ = await run("-c", config, "press", "count_*", "--json")
        assert (code, [one["value"] for one in json.loads(out)["readings"]]) == (0, [7, 8])
        code, out, _ = await run("-c", config, "press", "speed")
        assert "another byte order? edge-agent read DEVICE TAG --orders" in out
        code, out, _ = await run("-c", config, "press", "speed", "--orders", "--expect", "50.2")
        assert "CDAB" in out
        code, _, err = await run("-c", config, "press", "sped")
        assert code == 2
        assert "the device press has no tag 'sped' -> did you mean speed?" in err
    assert not (tmp_path / "data").exists()


async def test_watch_reads_on_over_one_connection() -> None:
    """Every interval a line, until it is told to end."""
    async with device() as server:
        command = agent_command("read", "--url", server.url, "holding:102", "--watch", "100ms", "--json")
        with process(*command) as running:
            await eventually(lambda: running.stdout.count("\n") >= 4, what="four reads")
            lines = running.stdout.splitlines()[:4]
            running.terminate()
    assert all(json.loads(line)["readings"][0]["value"] == 7 for line in lines)


async def test_nobody_there() -> None:
    """The reason, and exit code 1."""
    async with device() as server:
        pass
    code, out, err = await run("--url", server.url, "holding:1")
    assert code == 1
    assert "refused" in out + err


async def test_a_configured_device_is_asked_by_its_agent(tmp_path: Path) -> None:
    """With the certificate that servers know, and what the agent knows of the server: not as somebody of its own."""
    device = {
        "type": "opcua", "url": f"opc.tcp://127.0.0.1:{free_port()}",
        "security": {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}, "tags": {"a": {"node": "ns=2;s=a"}},
    }  # fmt: skip
    document = {"agent": {"id": "gw", "data_dir": "data"}, "devices": {"cnc": device}}
    (tmp_path / "agent.yaml").write_text(json.dumps(document))
    code, _, _ = await run("-c", str(tmp_path / "agent.yaml"), "cnc")
    own = (tmp_path / "data" / "pki" / "own" / "certificate.der").read_bytes()
    assert (code, b"urn:edge-agent:gw" in own) == (1, True)
