"""`edge-agent diff` and `edge-agent reload` over the agent's socket: what they print, what they exit with."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from agent.cli.diff import diff
from agent.cli.reload import reload
from agent.cli.status import status
from agent.config.loader import load
from agent.config.report import Report, report
from agent.core.clock import SystemClock
from agent.core.errors import ConfigError
from agent.runtime.control import Control
from agent.runtime.reload.reloader import Outcome, Reloader
from agent.runtime.reload.reloading import Reconfiguring
from tests.support.waiting import eventually

ENVIRON = {"BROKER": "192.0.2.7", "LEVEL": "debug"}
GW = "agent: {{id: gw, data_dir: data{0}}}\n"
PRESS = """
devices:
  press:
    type: modbus
    url: tcp://192.0.2.1
    tags: {a: {address: "holding:0"}, b: {address: "holding:1", scale: 2}}
"""
PLANT = """
publishers:
  plant: {type: mqtt, url: "mqtt://${BROKER}", username: u, password_file: secret}
"""
OLD = GW.format("") + PRESS + PLANT


class Scripted:
    """A reloader that takes what the files say, unless that needs a restart."""

    def __init__(self, file: Path) -> None:
        self.path = file
        self.effective = load(file, ENVIRON)
        self.missing: dict[str, str] = {}

    async def compare(self) -> Report:
        return report(self.effective, load(self.path, ENVIRON))

    async def reload(self, reason: str) -> Outcome:
        assert reason
        try:
            new = load(self.path, ENVIRON)
        except ConfigError as error:
            return Outcome("refused", "", mistakes=tuple(map(str, error.mistakes)))
        found = report(self.effective, new)
        if found.restart:
            return Outcome("refused", "", mistakes=("agent.id: needs a restart",))
        self.effective = new
        return Outcome("applied", "", report=found)

    def why(self, section: str, name: str) -> str | None:
        return self.missing.get(f"{section}.{name}")


class Site:
    """Files, a socket that answers, and the two commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.main = folder / "agent.yaml"
        self.secret = folder / "secret"
        self.data_dir = folder / "data"
        self.data_dir.mkdir()
        self.main.write_text(OLD)
        self.secret.write_text("x\n")
        self.agent = Scripted(self.main)
        self._capsys = capsys

    async def run(self, command: Callable[..., int], *arguments: Any, **options: Any) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        code = await asyncio.to_thread(command, *(arguments or (self.main, None)), **options)
        written = self._capsys.readouterr()
        return code, written.out, written.err

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        control = Control(self.data_dir, SystemClock())
        Reconfiguring(cast("Reloader", self.agent), self.agent.why, SystemClock()).serve(control)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(control.run())
            await eventually((self.data_dir / "agent.sock").exists)
            yield
            task.cancel()


@pytest.fixture
async def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Site]:
    made = Site(tmp_path, capsys)
    async with made.answering():
        yield made


async def test_nothing_differs(site: Site) -> None:
    """Exit 0, and one line that says so."""
    code, out, _ = await site.run(diff)
    assert (code, out) == (0, f"no difference: the agent runs what the files say ({site.agent.effective.hash})\n")
    code, out, _ = await site.run(reload, wait=None)
    assert (code, out[:14]) == (0, "no difference:")


async def test_everything_that_may_differ(site: Site) -> None:
    """Each part with what happens to it, each key with old and new value, and no secret."""
    site.main.write_text(
        GW.format(", location: [plant]")
        + "log:\n  level: ${LEVEL}\n"
        + PRESS.replace('a: {address: "holding:0"}', 'c: {address: "holding:2"}').replace("scale: 2", "scale: 3")
        + "    interval: 2s\n  new: {type: modbus, url: tcp://192.0.2.2}\n"
        + PLANT.replace("password_file", "window: 5, root: x, password_file")
        + "  other: {type: mqtt, url: mqtt://192.0.2.9}\n"
    )
    site.secret.write_text("y\n")
    code, out, _ = await site.run(diff)
    assert code == 1
    assert out.splitlines() == [
        "settings, applied in place",
        "    agent.location: [gw] → [plant]",
        "    log.level: info → ${LEVEL}",
        "+ device new: new",
        "~ device press: disconnects and connects anew",
        "    interval: 1s → 2s",
        "    location: [gw] → [plant]",
        "    + tag c",
        "    - tag a",
        "    tag b: scale: 2 → 3",
        "+ publisher other: new",
        "~ publisher plant: its session ends, another begins",
        "    root: edge → x",
        "    window: 20 → 5",
        "read anew at the next connection, healthy ones stay",
        f"    publishers.plant.password_file: {site.secret}",
    ]
    code, out, _ = await site.run(diff, as_json=True)
    found = json.loads(out)
    assert code == 1
    assert found["report"]["devices"]["changed"]["press"]["tags"]["changed"] == {
        "b": [{"key": "scale", "old": 2, "new": 3}]
    }
    assert found["report"]["publishers"]["changed"]["plant"]["effect"] == "new session"
    code, out, _ = await site.run(reload, wait=None)
    assert (code, out.splitlines()[-1]) == (0, "applied")
    assert (await site.run(diff))[0] == 0


async def test_tags_alone_and_a_shared_connection(site: Site) -> None:
    """A change of tags alone keeps the connection; so does the bus under a device that others share it with."""
    shared = '  meter: {type: modbus, url: "tcp://192.0.2.1", unit_id: 2}\n'
    site.main.write_text(OLD.replace(PLANT, shared + PLANT))
    site.agent.effective = load(site.main, ENVIRON)
    site.main.write_text(site.main.read_text().replace("scale: 2", "scale: 5"))
    assert "~ device press: keeps its connection" in (await site.run(diff))[1]
    site.main.write_text(site.main.read_text().replace("unit_id: 2", "unit_id: 2, timeout: 3s"))
    site.main.write_text(site.main.read_text().replace("scale: 5", "scale: 2"))
    assert "~ device meter: is set up anew; the connection it shares stays" in (await site.run(diff))[1]


async def test_a_part_of_a_url_that_is_not_shown(site: Site) -> None:
    """Where only user or query of a URL changed, that is said: two equal values would be a riddle."""
    site.main.write_text(OLD.replace("tcp://192.0.2.1", "tcp-listen://0.0.0.0:9000?framing=rtu"))
    site.agent.effective = load(site.main, ENVIRON)
    site.main.write_text(OLD.replace("tcp://192.0.2.1", "tcp-listen://0.0.0.0:9000?framing=ascii"))
    assert "    url: tcp-listen://0.0.0.0:9000?…, in a part that is not shown" in (await site.run(diff))[1]


async def test_many_tags_are_counted(site: Site) -> None:
    """People get the first twenty, programs all."""
    tags = ", ".join(f't{n}: {{address: "holding:{n}"}}' for n in range(500))
    site.main.write_text(OLD.replace('b: {address: "holding:1", scale: 2}', tags))
    _, out, _ = await site.run(diff)
    assert len(out.splitlines()) < 30
    assert "    … and 480 more (--json lists all)" in out
    _, out, _ = await site.run(diff, as_json=True)
    assert len(json.loads(out)["report"]["devices"]["changed"]["press"]["tags"]["added"]) == 500


@pytest.mark.parametrize("command", [diff, lambda *words, **options: reload(*words, wait="5s", **options)])
async def test_mistakes(site: Site, command: Callable[..., int]) -> None:
    """Exit 2, each mistake with file and line on standard error, one document on standard output with --json."""
    site.main.write_text(OLD + "nonsense: 1\n")
    line = OLD.count("\n") + 1
    code, out, err = await site.run(command)
    assert (code, out) == (2, "")
    assert err.startswith(f"{site.main}:{line}: `nonsense` is not a key")
    assert err.endswith("1 mistake: the configuration that runs stays in force\n")
    code, out, _ = await site.run(command, as_json=True)
    assert (code, json.loads(out)["report"], len(json.loads(out)["mistakes"])) == (2, None, 1)
    assert site.agent.effective.hash == load_hash(OLD, site)


def load_hash(text: str, site: Site) -> str:
    """Of a configuration that stands where the agent's does."""
    site.main.write_text(text)
    return load(site.main, ENVIRON).hash


async def test_a_missing_secret_is_a_mistake(site: Site) -> None:
    """A start waits for a secret file; a reload is told by somebody who is there to put it right."""
    site.secret.unlink()
    code, _, err = await site.run(diff)
    assert code == 2
    assert "password_file" in err


async def test_what_needs_a_restart(site: Site) -> None:
    """`diff` says so (exit 1), `reload` refuses (exit 2)."""
    site.main.write_text(OLD.replace("id: gw", "id: other, location: [gw]"))
    code, out, _ = await site.run(diff)
    assert (code, out.splitlines()) == (
        1,
        ["needs a restart of the agent; until then nothing of this is applied", "    agent.id: gw → other"],
    )
    code, _, err = await site.run(reload, wait=None)
    assert code == 2
    assert "needs a restart" in err


async def test_another_file_is_refused(site: Site, tmp_path: Path) -> None:
    """The agent reads the file it was started with, and says which; a link to it is that file, and so is --data-dir."""
    other = tmp_path / "other.yaml"
    other.write_text(OLD)
    code, _, err = await site.run(diff, other, None)
    assert code == 2
    assert f"the agent runs {site.main}, not {other}" in err
    (tmp_path / "link.yaml").symlink_to(site.main)
    assert (await site.run(diff, tmp_path / "link.yaml", None))[0] == 0
    assert (await site.run(diff, Path("agent.yaml"), site.data_dir))[0] == 0


async def test_a_file_that_does_not_parse_finds_the_agent(site: Site) -> None:
    """`-c` only finds the socket: the mistakes are the agent's to tell."""
    site.main.write_text(OLD + "  oops: [\n")
    code, _, err = await site.run(diff)
    assert code == 2
    assert "not YAML" in err


async def test_reload_waits_for_what_it_changed(site: Site) -> None:
    """Exit 1 names each changed part that is not back in time, and why; the others do not count."""
    site.agent.missing = {"devices.press": "no answer", "devices.elsewhere": "no answer"}
    site.main.write_text(OLD.replace("scale: 2", "scale: 4"))
    code, out, err = await site.run(reload, wait="200ms")
    assert (code, out.splitlines()[-1], err) == (1, "applied", "devices.press is not back: no answer\n")
    site.agent.missing = {"http.": "the port is taken"}
    site.main.write_text(OLD + "http: {port: 8999}\n")
    code, out, err = await site.run(reload, wait="200ms")
    assert (code, err) == (1, "http is not back: the port is taken\n")
    site.agent.missing = {}
    site.main.write_text(OLD)
    code, out, _ = await site.run(reload, wait="30s")
    assert (code, out.splitlines()[-1]) == (0, "applied, and all changed parts are back")


async def test_reload_that_is_turned_off(site: Site) -> None:
    """`agent.reload: off` means it."""
    site.main.write_text(OLD.replace("id: gw", "id: gw, reload: off"))
    site.agent.effective = load(site.main, ENVIRON)
    code, _, err = await site.run(reload, wait=None)
    assert code == 2
    assert "restart the agent" in err


async def test_no_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 where nobody answers; also then one document with --json. 2 where not even the file is there."""
    site = Site(tmp_path, capsys)
    for command in (diff, lambda *words, **options: reload(*words, wait=None, **options)):
        code, _, err = await site.run(command)
        assert (code, err) == (3, f"no agent runs on {site.data_dir}\n")
        code, out, _ = await site.run(command, as_json=True)
        assert (code, list(json.loads(out))) == (3, ["error"])
        assert (await site.run(command, tmp_path / "gone.yaml", None))[0] == 2
    assert (await site.run(reload, wait="3"))[0] == 2


async def test_another_data_dir_finds_the_agent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is not where the file says by now: exit 3, and where the agent that runs this file was started."""
    site.main.write_text(GW.format("/other"))
    monkeypatch.setattr("agent.cli.running.data_dirs", lambda: [site.data_dir.parent, site.data_dir])  # others run here
    for command in (diff, status):
        code, _, err = await site.run(command, site.main, None, as_json=False)
        assert code == 3
        assert err.startswith(f"no agent runs on {site.data_dir}/other; the one that runs {site.main} was started on ")
        assert err.endswith(f"-> ask it with --data-dir {site.data_dir}\n")


async def test_an_agent_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It accepts and says nothing, as one that is stopped: exit 1 within the patience, and what to look at."""
    site = Site(tmp_path, capsys)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(site.data_dir / "agent.sock"))
        listening.listen()
        for command, options in ((diff, {}), (reload, {"wait": None}), (reload, {"wait": "50ms"})):
            code, _, err = await site.run(command, patience=0.05, **options)
            waited = "0.1" if options.get("wait") else "0.05"
            assert (code, err[:55]) == (1, f"the agent does not answer (waited {waited} s); is it stopped"[:55])
