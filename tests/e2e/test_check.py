"""`edge-agent check` as its user runs it: a process, real devices."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent.simulator.modbus import ModbusServer, Unit
from agent.simulator.points import Memory
from tests.support.ports import free_port
from tests.support.processes import agent_command, process, run_process
from tests.unit.config.broken import BROKEN, Broken

ROOT = Path(__file__).parents[2]

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_the_reference_is_right():
    """The commented reference passes on a fresh checkout, from any folder."""
    done = run_process(*agent_command("check", "-c", str(ROOT / "configs" / "agent.yaml")), cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


_EACH = list(zip(["check", "tail", "verify"], BROKEN[::60][:3], strict=True))


@pytest.mark.parametrize(("command", "broken"), _EACH, ids=str)
def test_broken(command: str, broken: Broken, tmp_path):
    """Whatever takes a configuration refuses a broken one with file, line and exit code 2, and no traceback."""
    path = tmp_path / "agent.yaml"
    path.write_text(broken.text, encoding="utf-8")
    done = run_process(*agent_command(command, "-c", str(path)), env={"EDGE_TEXT": "x"})
    assert done.returncode == 2, done.stderr
    assert f"{path}:{broken.line}:" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["check", "run"])
def test_no_configuration(command: str, tmp_path):
    """A configuration that is not there is exit code 2, too."""
    done = run_process(*agent_command(command, "-c", str(tmp_path / "agent.yaml")))
    assert done.returncode == 2
    assert "there is no file" in done.stderr


def write(folder: Path, url: str, tags: dict[str, object]) -> Path:
    """A configuration with one Modbus device."""
    device = {"type": "modbus", "url": url, "interval": "100ms", "timeout": "300ms", "tags": tags}
    document = {"agent": {"id": "gw", "data_dir": str(folder / "data")}, "devices": {"press": device}}
    (folder / "agent.yaml").write_text(json.dumps(document))
    return folder / "agent.yaml"


async def test_live(tmp_path):
    """`--live` reads every tag once: exit 0 where all are good, and nothing is written to the data directory."""
    memory = Memory()
    memory.fill("holding", 0, [4711, 2])
    async with ModbusServer({1: Unit(memory)}) as server:
        path = write(tmp_path, server.url, {"a": {"address": "holding:0"}, "b": {"address": "holding:1"}})
        with process(*agent_command("check", "--live", "-c", str(path))) as running:
            assert await running.wait(30) == 0, running.tail()
            assert "4711" in running.stdout
            assert "press: 2 read, 0 bad, 0 silent" in running.stdout
    assert not (tmp_path / "data").exists()


async def test_live_with_a_bad_tag(tmp_path):
    """A tag that the device refuses is exit code 2, and is named with its reason."""
    memory = Memory()
    memory.fill("holding", 0, [4711])
    async with ModbusServer({1: Unit(memory, refused={("holding", 9)})}) as server:
        path = write(tmp_path, server.url, {"a": {"address": "holding:0"}, "lost": {"address": "holding:9"}})
        with process(*agent_command("check", "--live", "-c", str(path))) as running:
            assert await running.wait(30) == 2, running.tail()
            line = next(line for line in running.stdout.splitlines() if line.startswith("lost"))
            assert "bad" in line
            assert "4711" in running.stdout


def test_live_without_a_device(tmp_path):
    """A device that is not there is exit code 2, with the reason; nobody waits for ever."""
    path = write(tmp_path, f"tcp://127.0.0.1:{free_port()}", {"a": {"address": "holding:0"}})
    done = run_process(*agent_command("check", "--live", "-c", str(path)))
    assert done.returncode == 2
    assert "press: " in done.stdout
    assert "Traceback" not in done.stderr


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request, and let the connection go the hard way."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as web servers do to what is no HTTP."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    ("peer", "words"), [(None, "refused"), (reset, "reset"), (web, "HTTP/1.1 answered")], ids=["closed", "reset", "web"]
)
async def test_live_says_what_happened(peer: Peer | None, words: str, tmp_path, monkeypatch):
    """In the tag's row, where somebody looks who wonders why there is no value."""
    monkeypatch.setenv("COLUMNS", "200")
    port = free_port()
    async with AsyncExitStack() as stack:
        if peer is not None:
            await stack.enter_async_context(await asyncio.start_server(peer, "127.0.0.1", port))
        path = write(tmp_path, f"tcp://127.0.0.1:{port}", {"pressure": {"address": "holding:0"}})
        running = stack.enter_context(process(*agent_command("check", "--live", "-c", str(path))))
        assert await running.wait(30) == 2, running.tail()
        row = next(line for line in running.stdout.splitlines() if line.startswith("pressure"))
        assert words in row


def test_shards_show_who_reads_what(tmp_path: Path) -> None:
    """`check` and `plan` name the shard of every device, the same whichever shard asks."""
    device = "{{type: modbus, url: 'tcp://10.0.0.{n}', tags: {{t: {{address: 'holding:0'}}}}}}"
    devices = "".join(f"  m{n}: {device.format(n=n)}\n" for n in range(6))
    path = tmp_path / "agent.yaml"
    path.write_text(
        f"agent: {{id: gw, data_dir: {tmp_path}, shard: {{index: '${{POD_INDEX}}', count: 3}}}}\n"
        f"publishers: {{plant: {{type: mqtt, url: 'mqtt://127.0.0.1:1'}}}}\ndevices:\n{devices}"
    )
    shown: set[tuple[str, ...]] = set()
    for index in ("0", "2"):
        done = run_process(*agent_command("check", "-c", str(path)), env={"POD_INDEX": index})
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Agent gw-{index}" in done.stdout
        assert f"Shard {index} of 3" in done.stdout
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith("device ")]
        shown.add(tuple(f"{line[1]} {line[-1]}" for line in lines))
    assert len(shown) == 1
    done = run_process(*agent_command("plan", "-c", str(path)), env={"POD_INDEX": "1"})
    planned = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line.startswith("m")}
    assert tuple(f"{name} {shard}" for name, shard in planned.items()) in shown
    assert "plant: shard 2, " in done.stdout
