"""A package of somebody else (tests/plugin): built, installed beside the agent, checked, run, judged by the suites."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.plugin.suites.peers import Counter, Taker
from tests.support.processes import ROOT, Process
from tests.support.waiting import eventually

PLUGIN = ROOT / "tests" / "plugin"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with both wheels installed; the libraries they need are lent by the one of the tests."""
    folder = tmp_path_factory.mktemp("fresh")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder / "wheels")]
    subprocess.run([*build, str(ROOT), str(PLUGIN)], check=True)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    [site] = (folder / "env/lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    wheels = map(str, (folder / "wheels").glob("*.whl"))
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", *wheels], check=True)
    return folder / "env/bin"


@asynccontextmanager
async def peers() -> AsyncIterator[tuple[Counter, Taker, Taker]]:
    """The device, who takes the good feed, and who waits for that of the broken encoder."""
    counter, taker, other = Counter(), Taker(), Taker()
    for peer in (counter, taker, other):
        await peer.up()
    try:
        yield counter, taker, other
    finally:
        for peer in (counter, taker, other):
            await peer.down()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its configuration in a folder that may be written to."""
    (tmp_path / "agent.yaml").write_text((PLUGIN / "agent.yaml").read_text())
    return tmp_path


def test_its_parts_pass_the_shipped_suites(fresh: Path) -> None:
    """Collector, encoder and publisher keep the contracts of their ports, judged where the package is installed."""
    done = subprocess.run(
        [fresh / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "suites"],
        cwd=PLUGIN, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


async def test_it_is_checked_and_run(fresh: Path, folder: Path) -> None:
    """Its device is read and its feed gets it; its encoder that raises on every event costs its own route only."""
    async with peers() as (counter, taker, other):
        env = {
            "COUNTER_PORT": str(counter.port), "FEED_PORT": str(taker.port), "WRONG_PORT": str(other.port),
            "PYTHONPATH": "",
        }  # fmt: skip
        check = Process([str(fresh / "edge-agent"), "check", "-c", "agent.yaml"], folder, env=env, cwd=folder)
        assert await check.wait(60) == 0, check.stderr
        assert "type `modbus` comes with the agent -> the package acme-edge registers one" in check.stderr
        agent = Process([str(fresh / "edge-agent"), "run", "-c", "agent.yaml"], folder, env=env, cwd=folder)
        try:
            await eventually(lambda: len(taker.taken) >= 5, what="the feed has five records")
            told = [line for _, payload in taker.taken for line in payload.splitlines()]
            assert {topic for topic, _ in taker.taken} == {"feed/line-1"}
            assert any(line.startswith("made=3 good") for line in told)
            assert any(line.startswith("broken_gauge=None bad") for line in told)
            bugs = [line for line in agent.stdout.splitlines() if '"component.bug"' in line]
            assert bugs
            assert all('"component":"publisher wrong"' in line for line in bugs)
            assert len(bugs) == len(set(bugs)) <= 5, "each bug once, however often it happens"
        finally:
            agent.terminate()
        assert await agent.wait(20) == 0
    assert other.taken == []
