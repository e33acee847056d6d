"""`edge-agent scan` against real servers: units, ranges, limits, and a file that keeps its comments."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from agent.config.loader import load
from agent.simulator.proxy import Proxy
from tests.integration.modbus.servers import Plant, plant
from tests.support.ports import free_port
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

AREAS = ("--area", "holding", "--area", "input")


def holes(running: Plant) -> None:
    """Holding registers 0 to 9, 100 to 149 and 300 can be read, by 20 at a time; no input register at all."""
    good = {*range(10), *range(100, 150), 300}
    running.memory.illegal = {("holding", n) for n in range(400) if n not in good}
    running.memory.illegal |= {("input", n) for n in range(400)}
    running.memory.largest = 20


async def scan(*arguments: str) -> tuple[int, str, str]:
    with process(*agent_command("scan", *arguments)) as running:
        code = await running.wait(60)
        assert "Traceback" not in running.stderr
        return code, running.stdout, running.stderr


async def test_units_and_what_can_be_read_of_them(tmp_path: Path) -> None:
    """Every readable place and no other, as a configuration that loads; the limit of a request is learned."""
    async with plant(3, 7) as running:
        holes(running)
        code, out, err = await scan(running.url, "--units", "1-8", "--range", "0-399", *AREAS)
        asked = {function for _, function, _, _ in running.memory.asked}
    assert code == 0, err
    assert asked == {3, 4}, "it only reads"
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\n{out}")
    devices = load(tmp_path / "agent.yaml", {}).config.devices
    assert list(devices) == ["unit-3", "unit-7"]
    addresses = {str(tag.address) for tag in devices["unit-3"].tags.values()}  # type: ignore[attr-defined]
    assert addresses == {f"holding:{n}" for n in (*range(10), *range(100, 150), 300)}
    assert devices["unit-3"].max_registers <= 20  # type: ignore[attr-defined]


async def test_it_is_merged_into_a_file_with_comments(tmp_path: Path) -> None:
    """Comments and order stay, and a device that stands there already is left as it is."""
    path = tmp_path / "devices.yaml"
    path.write_text("# our plant\ndevices:\n  unit-3:  # by hand\n    type: modbus\n    url: tcp://h\n    tags: {}\n")
    async with plant(3, 4) as running:
        code, _, err = await scan(running.url, "--units", "3,4", "--range", "0-9", "--area", "holding", "-o", str(path))
    assert code == 0, err
    text = path.read_text()
    assert text.startswith("# our plant\ndevices:\n  unit-3:  # by hand\n    type: modbus\n    url: tcp://h\n")
    assert "holding_0_{n}" in text
    assert "unit-3 stands there already and was left as it is" in err
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}\ninclude: [devices.yaml]\n")
    assert list(load(tmp_path / "agent.yaml", {}).config.devices) == ["unit-3", "unit-4"]


async def test_it_can_be_stopped() -> None:
    """Ctrl-C: what was found until then is printed."""
    async with plant(3) as running:
        command = agent_command("scan", running.url, "--units", "3", "--rate", "20")
        with process(*command) as scanning:
            await eventually(lambda: len(running.memory.asked) > 1, what="it has begun")
            scanning.signal(signal.SIGINT)
            assert await scanning.wait(20) == 0
            assert "unit-3:" in scanning.stdout


async def test_a_connection_that_is_lost_half_way() -> None:
    """What was found until then is printed, and the exit code says that it is not all."""
    async with plant(3) as running, Proxy("127.0.0.1", int(running.url.rpartition(":")[2])) as cable:
        arguments = ("--units", "3", "--rate", "20", "--area", "holding")
        command = agent_command("scan", f"tcp://127.0.0.1:{cable.port}", *arguments)
        with process(*command) as scanning:
            await eventually(lambda: len(running.memory.asked) > 3, what="it has begun")
            await cable.cut()
            assert await scanning.wait(60) == 1
            assert "unit-3:" in scanning.stdout
            assert "Traceback" not in scanning.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://h"], 2, "http"),
        (["tcp://127.0.0.1", "--units", "0-300"], 2, "--units '0-300' is no range up to 247"),
        (["tcp://127.0.0.1", "--area", "holdings"], 2, "write one of coil, discrete, holding, input"),
        (["tcp://127.0.0.1", "--range", "9-1"], 2, "--range '9-1' is no range"),
    ],
)
async def test_mistakes(arguments: list[str], code: int, words: str) -> None:
    """They say what to write."""
    ended, _, err = await scan(*arguments)
    assert ended == code
    assert words in err


async def test_nobody_answers() -> None:
    """Something takes the connection, and no unit answers: what to look at."""
    async with plant(3) as running:
        code, out, err = await scan(running.url, "--units", "4-5", "--timeout", "100ms")
    assert (code, out) == (1, "")
    assert "look at --units" in err


async def test_nobody_there() -> None:
    """Exit code 1, and why."""
    code, out, err = await scan(f"tcp://127.0.0.1:{free_port()}")
    assert (code, out) == (1, "")
    assert "refused" in err
