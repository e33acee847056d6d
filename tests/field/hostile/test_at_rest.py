"""Another user of the gateway: may not read what the agent keeps, nor lead it to write where it should not."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.check import check
from agent.cli.mistakes import report
from agent.config.files import read_text
from agent.config.loader import load
from agent.config.located import Place
from agent.core.errors import ConfigError, Mistake, PermanentError
from agent.outbox.file.causes import cause
from agent.outbox.file.errors import own
from agent.runtime.ownership import owned
from agent.settings.values import read_secret
from tests.support.agent import AgentProcess
from tests.support.waiting import eventually

PRECIOUS = "precious\n"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the agent's user that somebody wants written over."""
    path = tmp_path / "victim"
    path.write_text(PRECIOUS, encoding="utf-8")
    return path


async def test_whatever_the_umask_nobody_else_reads_data_dir(tmp_path: Path) -> None:
    """Outbox, catalogue, locks and socket."""
    devices = {
        "m": {"type": "modbus", "url": "tcp://127.0.0.1:9", "unit_id": 1, "tags": {"t": {"address": "holding:0"}}},
    }
    publishers = {"p": {"type": "mqtt", "url": "mqtt://127.0.0.1:9", "encoder": {"type": "json"}}}
    before = os.umask(0)
    try:
        with AgentProcess(tmp_path, publishers=publishers, devices=devices) as agent:
            await agent.start()
            await eventually(lambda: list((agent.data_dir / "outbox").iterdir()))
            inside = list(agent.data_dir.rglob("*"))
            assert agent.data_dir / "lock" in inside
            modes = {str(path): stat.S_IMODE(path.lstat().st_mode) for path in [agent.data_dir, *inside]}
            open_to_others = {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
            assert open_to_others == {}
            assert await agent.stop() == 0
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["lock", "agent"])
def test_a_planted_link_is_not_written_through(tmp_path: Path, victim: Path, name: str) -> None:
    """Where data_dir lies below a folder others may write to."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / name).symlink_to(victim)
    if name == "lock":
        with pytest.raises(PermanentError, match="symbolic link"), owned(data_dir, "gw-01"):
            pass
    else:
        with pytest.raises(PermanentError), owned(data_dir, "gw-01"):
            pass
    assert victim.read_text() == PRECIOUS


@pytest.mark.parametrize("name", ["plant.lock", "plant.db", "plant.db-wal", "plant.db-shm"])
def test_an_outbox_is_not_opened_through_a_link(tmp_path: Path, victim: Path, name: str) -> None:
    """The publisher says which; the file it leads to stays as it was."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / name).symlink_to(victim)
    with pytest.raises(PermanentError, match=f"{name}.*symbolic link"):
        own(data_dir / "plant.db")
    assert victim.read_text() == PRECIOUS


def test_what_is_written_anew_replaces_a_link(tmp_path: Path, victim: Path) -> None:
    """And a disk is not probed through one."""
    (tmp_path / ".probe").symlink_to(victim)
    assert cause(tmp_path) is not None
    assert victim.read_text() == PRECIOUS


@pytest.mark.parametrize(
    "extra",
    [
        "devices_file: pipe\n",
        "include: [pipe]\n",
        "devices: {m: {type: modbus, url: 'tcp://127.0.0.1:9', tags_file: pipe}}\n",
        "http: {auth: {token_file: pipe}}\n",
        "publishers: {p: {type: mqtt, url: 'mqtt://b', username: u, password_file: pipe, encoder: {type: json}}}\n",
    ],
)
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_pipe_or_a_device_is_no_file(tmp_path: Path, extra: str, kind: str) -> None:
    """Opened, one would keep the agent waiting for ever and the other fill its memory."""
    if kind == "fifo":
        os.mkfifo(tmp_path / "pipe")
    else:
        (tmp_path / "pipe").symlink_to("/dev/zero")
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw-01, data_dir: {tmp_path}/d}}\n{extra}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"pipe or a device|no file matches"):
        load(tmp_path / "agent.yaml")


def test_a_secret_is_never_waited_for(tmp_path: Path) -> None:
    """A file that became a pipe while the agent runs is refused within the loop's turn."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match=r"pipe or a device"):
            read_secret(path)


def test_check_warns_of_files_that_others_may_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes the configuration commands the agent."""
    config, data_dir = tmp_path / "agent.yaml", tmp_path / "d"
    config.write_text(f"agent: {{id: gw-01, data_dir: {data_dir}}}\n", encoding="utf-8")
    data_dir.mkdir()
    for path, mode in ((config, 0o666), (data_dir, 0o777)):
        path.chmod(mode)
    assert check(config) == 0
    said = capsys.readouterr().err
    assert f"{config}: this configuration may be written by every user" in said
    assert f"{data_dir}: this data_dir may be written by every user" in said
    for path, mode in ((config, 0o644), (data_dir, 0o755)):
        path.chmod(mode)
    assert check(config) == 0
    assert "may be written" not in capsys.readouterr().err


@pytest.mark.parametrize("token", ["short", "x" * 15, "x" * 16])
def test_a_token_that_can_be_guessed_is_a_mistake(tmp_path: Path, token: str) -> None:
    """16 characters are taken; the mistake does not quote it."""
    (tmp_path / "token").write_text(token, encoding="utf-8")
    (tmp_path / "agent.yaml").write_text(
        f"agent: {{id: gw-01, data_dir: {tmp_path}}}\nhttp: {{host: 0.0.0.0, auth: {{token_file: token}}}}\n",
        encoding="utf-8",
    )
    if len(token) >= 16:
        load(tmp_path / "agent.yaml")
        return
    with pytest.raises(ConfigError, match="can be guessed") as caught:
        load(tmp_path / "agent.yaml")
    assert token not in str(caught.value).replace("token", "")


@pytest.mark.parametrize(
    "content",
    [
        "hunter2",
        "{hunter2: [x",
        "*hunter2",
        "!hunter2 x",
        "hunter2: x",
        "user:hunter2:x: y",
        '"hunter2',
        "%hunter2",
        "db: hunter2",
        "admin:hunter2\nx: y",
        "admin hunter2\nx: y",
        "hunter2\nx",
        "data: {a: hunter2, a: x}",
    ],
)
def test_an_include_that_is_a_secret_is_not_quoted(tmp_path: Path, content: str) -> None:
    """A glob that is too wide reads the password file too; its content stays out of the mistake."""
    (tmp_path / "secret.yaml").write_text(content, encoding="utf-8")
    (tmp_path / "agent.yaml").write_text(
        f"agent: {{id: gw-01, data_dir: {tmp_path}}}\ninclude: ['*.yaml']\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml")
    shown = io.StringIO()
    report(caught.value, shown)
    assert "hunter2" not in shown.getvalue()


@pytest.mark.parametrize("url", ["mqtt://b?password=hunter2", "mqtt://u:hunter2@b", "tcp://b/?password=hunter2"])
def test_what_may_be_a_secret_in_a_url_is_not_quoted(tmp_path: Path, url: str) -> None:
    """Neither by the mistake nor by the exit's last line."""
    (tmp_path / "agent.yaml").write_text(
        f"agent: {{id: gw-01, data_dir: {tmp_path}}}\npublishers: {{p: {{type: mqtt, url: '{url}'}}}}\n"
        f"devices: {{m: {{type: modbus, url: '{url}', tags: {{}}}}}}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "agent", "check", "-c", tmp_path / "agent.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr


def test_a_file_has_a_size(tmp_path: Path) -> None:
    """A table of gigabytes is a mistake that names it; it is not read."""
    with (tmp_path / "huge.csv").open("wb") as huge:
        huge.truncate(8 << 30)
    mistakes: list[Mistake] = []
    assert read_text(tmp_path / "huge.csv", "huge.csv", Place("agent.yaml", 7), mistakes, {}) is None
    assert [str(each) for each in mistakes] == [
        "agent.yaml:7: huge.csv is larger than 64 MiB -> name the right file, or divide it"
    ]
