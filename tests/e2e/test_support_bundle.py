"""`edge-agent support-bundle`: planted secrets are in no member, with a running agent and without one."""

from __future__ import annotations

import asyncio
import io
import json
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.cli.support_bundle import FOLDER, MEMBERS, pack, support_bundle
from tests.support.agent import AgentProcess
from tests.support.ports import free_port
from tests.support.waiting import eventually

KEY = "MC4CAQAwBQYDK2VwBCIEIPLANTEDKEY"
PLANTED = {
    "PLANTED_PASSWORD": "hunter2-of-the-environment",
    "PLANTED_HOST": "127.0.0.77",
}
FILES = {
    "password": "hunter2-of-a-file\n",
    "token": "planted-token-0123456789abcdef\n",
    "key.pem": f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n",
    "cert.pem": "-----BEGIN CERTIFICATE-----\nPLANTEDCERT\n-----END CERTIFICATE-----\n",
}
SECRETS = (*PLANTED.values(), "hunter2-of-a-file", "planted-token", KEY, "planted-query", "PRIVATE KEY")


def planted(folder: Path) -> dict[str, Any]:
    """Two publishers and a device that nobody answers, with a secret of every kind."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    mqtt = {"type": "mqtt", "username": "gw"}
    publishers = {
        "plant": mqtt | {"url": f"mqtt://127.0.0.1:{free_port()}", "password": "${PLANTED_PASSWORD}"},
        "cloud": mqtt | {
            "url": f"wss://127.0.0.1:{free_port()}/mqtt?token=planted-query",
            "password_file": str(folder / "password"),
            "tls": {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")},
            "root": "cloud",
        },
    }  # fmt: skip
    device = {
        "type": "modbus", "url": f"tcp://${{PLANTED_HOST}}:{free_port()}", "interval": "1s",
        "tags": {"t": {"address": "holding:0"}},
    }  # fmt: skip
    return {"publishers": publishers, "devices": {"press-01": device}}


def members(archive: Path | io.BytesIO) -> dict[str, str]:
    """Text of each member by its name. The archive is this user's alone."""
    if isinstance(archive, Path):
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        archive = io.BytesIO(archive.read_bytes())
    with tarfile.open(fileobj=archive) as tar:
        found = {}
        for entry in tar.getmembers():
            folder, name = entry.name.split("/")
            assert (folder, entry.mode) == (FOLDER, 0o600)
            file = tar.extractfile(entry)
            assert file is not None
            found[name] = file.read().decode()
    for secret in SECRETS:
        assert not [name for name, text in found.items() if secret in text], secret
    return found


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environ")
async def test_of_a_running_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All parts, as the agent knows them and redacts them in its own environment."""
    out = tmp_path / "bundle.tar.gz"
    with AgentProcess(tmp_path, **planted(tmp_path)) as agent:
        agent.document["http"]["auth"] = {"token_file": str(tmp_path / "token")}
        agent.configure(agent.document)
        await agent.start()

        async def complained() -> bool:
            assert await asyncio.to_thread(support_bundle, agent.config, None, out) == 0
            status = json.loads(members(out)["status.json"])
            return "press-01" in {one["name"] for one in status["wrong"]}

        await eventually(complained, what="the status tells of the device")
        found = members(out)
        assert set(found) == {"contents.json", *(name for name, _ in MEMBERS.values())}
        config = json.loads(found["config.json"])["config"]
        assert config["publishers"]["plant"]["password"] == "${PLANTED_PASSWORD}"
        assert config["publishers"]["cloud"]["url"].endswith("/mqtt?…")
        assert "agent.started" in {one["event"] for one in json.loads(found["events.json"])}
        assert 'edge_agent_device_up{device="press-01"}' in found["metrics.txt"]
        versions = json.loads(found["versions.json"])
        assert versions["agent"] == versions["command"]
        assert "msgspec" in versions["agent"]["packages"]
        listed = json.loads(found["contents.json"])
        assert listed["missing"] == {}
        for name, text in found.items():
            if name != "contents.json":
                assert listed["held"][name]["bytes"] == len(text.encode())
        capsys.readouterr()
        assert await asyncio.to_thread(support_bundle, Path("nowhere.yaml"), agent.data_dir, out) == 0
        told = capsys.readouterr().out
        assert f"{out.name}: " in told
        assert "config.json" in told
        assert "not in it" not in told
        assert set(members(out)) == set(found)
        assert await agent.stop() == 0


@pytest.mark.usefixtures("environ")
def test_without_an_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration is read from the files; the rest is named as missing, with the reason and what helps."""
    agent = AgentProcess(tmp_path, **planted(tmp_path))
    out = tmp_path / "bundle.tar.gz"
    out.write_text("of yesterday, for everybody")
    out.chmod(0o644)
    assert support_bundle(agent.config, None, out) == 0
    found = members(out)
    assert set(found) == {"contents.json", "config.json", "versions.json"}
    config = json.loads(found["config.json"])
    assert config["config"]["devices"]["press-01"]["url"].startswith("tcp://${PLANTED_HOST}:")
    assert "no agent runs" in config["from"]
    missing = json.loads(found["contents.json"])["missing"]
    assert set(missing) == {"status.json", "events.json", "metrics.txt"}
    assert "journalctl" in missing["events.json"]
    assert "status.json    not in it: no agent runs" in capsys.readouterr().out


def test_of_files_with_mistakes(tmp_path: Path) -> None:
    """What a mistake quotes may be a secret: only their number goes into the archive."""
    config = tmp_path / "agent.yaml"
    config.write_text("agent: {id: gw}\nlog: {level: hunter2-of-a-file}\n")
    out = tmp_path / "bundle.tar.gz"
    assert support_bundle(config, None, out) == 0
    missing = json.loads(members(out)["contents.json"])["missing"]
    assert "mistakes in the files: 1 -> edge-agent check" in missing["config.json"]


def test_what_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 names the file and leaves nothing behind; exit 2 where there is no configuration, or a historian's."""
    config = tmp_path / "agent.yaml"
    config.write_text("agent: {id: gw}\n")
    assert support_bundle(config, None, tmp_path / "none" / "x.tar.gz") == 1
    assert support_bundle(config, None, tmp_path) == 1
    assert "-> name another file with -o" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["agent.yaml"]
    assert support_bundle(tmp_path / "nowhere.yaml", None, None) == 2
    config.write_text("historian: {id: h}\n")
    assert support_bundle(config, None, None) == 2


def test_what_is_too_large_is_left_out() -> None:
    """The largest part goes first, and the list names it; what remains is whole."""
    missing: dict[Any, str] = {}
    noise = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(20_000))
    archive, held = pack({"events": [noise], "versions": {"python": "3"}}, missing, datetime.now(UTC), 8_000)
    assert len(archive) <= 8_000
    assert set(held) == {"versions.json"}
    found = members(io.BytesIO(archive))
    assert "larger than 8000 bytes" in json.loads(found["contents.json"])["missing"]["events.json"]
