"""`edge-agent browse` against real servers: what is found, refused, lost or stopped, and where it is written."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession

from agent.config.loader import load
from agent.testing.context import SimpleContext
from agent.workbench.live import Visit, visits_of
from tests.integration.opcua.machines import machine
from tests.integration.opcua.server import URN, Hall, Plant
from tests.support.ports import free_port
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

ua: Any = library
HEAD = "agent: {id: gw, data_dir: data}\n"


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """A machine, `M`."""
    hall = Hall()
    running = hall.plant_sync()
    asyncio.run(machine(running, "M", URN))
    yield running
    hall.close()


async def browse(*arguments: str, folder: Path | None = None) -> tuple[int, str, str]:
    with process(*agent_command("browse", *arguments), cwd=folder) as running:
        code = await running.wait(90)
        assert "Traceback" not in running.stderr
        return code, running.stdout, running.stderr


async def read(file: Path, name: str) -> Visit:
    """What the device of that configuration says."""
    device = load(file, {}).config.devices[name]
    context = SimpleContext()
    async with aclosing(visits_of(name, device, device.build(name, context), context)) as visits:
        return await anext(visits)


async def test_what_is_printed_is_a_configuration_that_runs(plant: Plant, tmp_path: Path) -> None:
    """Names, units, ranges, descriptions, types; what may not be read is left out; each tag can be read."""
    code, out, err = await browse(plant.url, "--path", "M/*")
    assert code == 0, err
    assert 'M/Spindle/Speed: {node: "nsu=urn:test:plant;s=M.Spindle.Speed", unit: "1/min"' in out
    assert "range: {min: 0, max: 24000}" in out
    assert "# float64, sampled every 250 ms at most" in out
    assert "# float64[]" in out
    assert '"M/État 状態": ' in out
    assert 'M/Spindle/Gear: {node: "nsu=urn:test:plant;s=M.Spindle.Gear", enum: {0: neutral, 1: low, 2: high}}' in out
    assert (
        "# int32, the server's texts: 0 Running, 1 Failed, 2 NoConfiguration, 3 Suspended, 4 Shutdown, 5 Test, …" in out
    )
    assert "# bool, writable" in out
    assert "left out: 1 that this user may not read" in err
    assert "it offers no security; users: anonymous" in err
    assert "M/  (6)" in err
    (tmp_path / "agent.yaml").write_text(HEAD + out)
    name = next(iter(load(tmp_path / "agent.yaml", {}).config.devices))
    visit = await read(tmp_path / "agent.yaml", name)
    assert visit.good
    assert {tag: one.unit for tag, one in visit.readings.items() if one.unit} == {
        "M/Spindle/Speed": "1/min", "M/Spindle/Temperature": "Cel",
    }  # fmt: skip
    assert visit.readings["M/Spindle/Gear"].label == "low"


async def test_it_is_narrowed(plant: Plant) -> None:
    """By path, type, depth, root and number; what that leaves out is told."""
    code, out, err = await browse(plant.url, "--root", f"nsu={URN};s=M", "--type", "float64", "--exclude", "*Temp*")
    assert code == 0, err
    assert "Spindle/Speed:" in out
    assert out.count("node:") == 1
    assert "left out: 4 of another type" in err
    _, out, err = await browse(plant.url, "--path", "M*", "--depth", "2")
    assert "there is more below --depth 2" in err
    assert "Curve" in out
    assert "Speed" not in out
    _, out, err = await browse(plant.url, "--path", "M*", "--max-nodes", "2")
    assert out.count("node:") == 2 - err.count("may not read")
    assert "more than --max-nodes 2" in err


async def test_a_configured_device_gets_what_it_lacks(plant: Plant, tmp_path: Path) -> None:
    """Merged under it with its comments kept, by whatever index or name a node stands there; a second time nothing."""
    index = plant.indexes[URN]
    before = (
        f"{HEAD}devices:\n  # milling\n  mill:  # by hand\n    type: opcua\n    url: {plant.url}\n    tags:\n"
        f'      rpm: {{node: "ns={index};s=M.Spindle.Speed"}}  # mine\n'
    )
    file = tmp_path / "agent.yaml"
    file.write_text(before)
    for added in (5, 0):
        code, out, err = await browse("mill", "-c", str(file), "--path", "M/*", "-o", str(file))
        assert (code, out) == (0, ""), err
        assert f"left out: {6 - added} that are configured already" in err
    assert file.read_text().startswith(before)
    visit = await read(file, "mill")
    assert visit.good
    assert len(visit.readings) == 6


async def test_a_table_is_written_and_added_to(plant: Plant, tmp_path: Path) -> None:
    """`tags_file` of a device; rows that are there, and their columns, stay."""
    table = tmp_path / "mill.csv"
    table.write_text(f"tag,unit,node\nspeed,bar,nsu={URN};s=M.Spindle.Speed\n")
    code, _, err = await browse(plant.url, "--path", "M/Spindle/*", "-o", str(table))
    assert code == 0, err
    assert "3 rows added, 1 stood there already" in err
    head = f"{HEAD}devices:\n  mill: {{type: opcua, url: '{plant.url}', tags_file: mill.csv}}\n"
    (tmp_path / "agent.yaml").write_text(head)
    visit = await read(tmp_path / "agent.yaml", "mill")
    assert {tag: one.unit for tag, one in visit.readings.items()} == {
        "speed": "bar", "M/Spindle/Temperature": "Cel", "M/Spindle/Mode": None, "M/Spindle/Gear": None,
    }  # fmt: skip
    code, out, _ = await browse(plant.url, "--path", "M/Spindle/Speed", "--format", "csv")
    assert code == 0
    assert out.splitlines() == [
        "tag,node,unit,range.min,range.max,description",
        f"M/Spindle/Speed,nsu={URN};s=M.Spindle.Speed,1/min,0,24000,speed of the spindle",
    ]
    code, out, err = await browse(plant.url, "--path", "M/Spindle/*", "-o", str(tmp_path))
    assert (code, "cannot be" in err) == (2, True), err
    assert "node:" in out, "what was found is not thrown away with the file that refuses it"


async def test_a_server_that_forbids(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the server's word."""

    async def refusing(session: Any, _parameters: Any) -> Any:
        raise ua.uaerrors.BadUserAccessDenied

    monkeypatch.setattr(InternalSession, "browse", refusing)
    code, out, err = await browse(plant.url)
    assert (code, out) == (1, "")
    assert "browsing: the server says BadUserAccessDenied" in err


class Slow:
    """Browsing stands still at the n-th request of a client."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.asked, self.at, self.gate = 0, at, asyncio.Event()
        browse = InternalSession.browse

        async def slow(session: Any, parameters: Any) -> Any:
            if session.external:
                self.asked += 1
                if self.asked >= self.at:
                    await self.gate.wait()
            return await browse(session, parameters)

        monkeypatch.setattr(InternalSession, "browse", slow)


async def test_a_server_that_does_not_answer(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for longer than --timeout."""
    slow = Slow(monkeypatch, 1)
    code, out, err = await browse(plant.url, "--timeout", "500ms")
    plant._loop.call_soon_threadsafe(slow.gate.set)
    assert (code, out) == (1, "")
    assert "no answer in time" in err


async def test_a_server_that_dies_half_way(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found by then is printed, and the exit code says that it is not all."""
    slow = Slow(monkeypatch, 3)
    with process(*agent_command("browse", plant.url, "--root", f"nsu={URN};s=M")) as browsing:
        await eventually(lambda: slow.asked >= 3, what="it is half way")
        await plant.do(plant.close_listener())
        assert await browsing.wait(30) == 1
        assert "Curve" in browsing.stdout
        assert "were not asked about" in browsing.stderr
    plant._loop.call_soon_threadsafe(slow.gate.set)
    await plant.do(plant.open_listener())


async def test_it_can_be_stopped(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: what was found until then is printed."""
    slow = Slow(monkeypatch, 3)
    with process(*agent_command("browse", plant.url, "--root", f"nsu={URN};s=M")) as browsing:
        await eventually(lambda: slow.asked >= 3, what="it is half way")
        browsing.signal(signal.SIGINT)
        assert await browsing.wait(20) == 0
        assert "Curve" in browsing.stdout
        assert "stopped" in browsing.stderr
    plant._loop.call_soon_threadsafe(slow.gate.set)
    await eventually(lambda: plant.sessions() == 0, what="no session is left behind")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://h"], 2, "'http://h' is no address of a device"),
        (["tcp://h"], 2, "edge-agent scan looks around in Modbus devices"),
        (["mill", "-c", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["opc.tcp://h", "--root", "x"], 2, "'x' is not a node id"),
        (["opc.tcp://h", "--timeout", "x"], 2, "timeout"),
        (["opc.tcp://h", "--policy", "Basic256"], 2, "policy"),
        (["opc.tcp://h", "--policy", "Basic256Sha256"], 2, "security needs the agent's certificate"),
        (["opc.tcp://h", "--username", "u"], 2, "password_file"),
        ([f"opc.tcp://127.0.0.1:{free_port()}"], 1, "connecting to opc.tcp://127.0.0.1"),
    ],
)
async def test_mistakes(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    """They say what to write."""
    ended, out, err = await browse(*arguments, folder=tmp_path)
    assert (ended, out) == (code, "")
    assert words in err
