"""How `edge-agent run` ends when it is told to: a process of its own, with an agent that does or does not let go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import run_process

LETS_GO = "await stop.wait()"
HANGS = """
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
"""
HANGS_AFTERWARDS = """
    hanging.append(asyncio.ensure_future(hang()))
    await stop.wait()
"""
PROGRAM = """
import asyncio, os, signal, sys
from agent.cli import run
from agent.telemetry.logging import configure

hanging = []
async def hang():{hangs}
async def agent(path, loaded, *, stop, reload):
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    {body}

configure()
run.run_agent, run.STOP_WITHIN = agent, {within}
with asyncio.Runner(loop_factory=run.loop_factory()) as runner:
    runner.run(run._until_signal(None, None, run.ReloadSignal()))
"""
STARTS = """
import gc, json, sys
from agent import __main__, cli

def main():
    global load
    from agent.cli import run
    load, run.load, run.run_agent = run.load, loaded, ended
    command()

def loaded(*given, **keys):
    looks.append(gc.isenabled())
    return load(*given, **keys)

async def ended(*given, **keys):
    looks.append(gc.isenabled())

looks, command = [], cli.main
cli.main = main
try:
    __main__.main()
finally:
    import agent.collectors.modbus.collector, agent.publishers.mqtt.client, agent.web.server
    ran = [name for name, module in sys.modules.items() if "__getattr__" not in vars(module)]
    print(json.dumps({"event": "ended", "looked": looks, "ran": ran}))
"""
#: Nobody needs them who reads Modbus over TCP, publishes, and shows the page.
NEEDLESS = {
    "agent.cli.engineering", "agent.web.openapi", "bz2", "click", "csv", "difflib", "greenlet", "gzip", "html",
    "http.client", "http.cookies", "locale", "logging.config", "lzma", "multiprocessing", "prometheus_client", "rich",
    "serial", "typer", "urllib.request", "uvicorn", "uvicorn.main",
}  # fmt: skip


def _run(body: str, within: float) -> tuple[int, list[str]]:
    done = run_process(sys.executable, "-c", PROGRAM.format(hangs=HANGS, body=body, within=within))
    assert not done.stderr
    return done.returncode, [json.loads(line)["event"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("body", ["await hang()", HANGS_AFTERWARDS], ids=["in its own end", "left behind"])
def test_a_part_that_hangs_in_its_cancellation_cannot_hold_up_the_end(body: str) -> None:
    """The process ends within its promise, says why, and does not claim that it went well."""
    assert _run(body, 0.5) == (1, ["component.stop_slow"])


def test_an_agent_that_ends_in_time_ends_well() -> None:
    """The last resort does not fire where nothing hangs."""
    assert _run(LETS_GO, 8.0) == (0, [])


def _started(path: Path) -> list[dict[str, Any]]:
    done = run_process(sys.executable, "-c", STARTS, "run", "-c", str(path))
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_start_does_no_more_than_it_must(tmp_path: Path) -> None:
    """Nobody looks for garbage while the configuration is read, everybody does afterwards; nothing needless is run."""
    path = tmp_path / "agent.yaml"
    path.write_text("agent: {id: gw, data_dir: data}\n")
    ended = _started(path)[-1]
    assert (set(ended["looked"][:-1]), ended["looked"][-1]) == ({False}, True)
    assert not NEEDLESS & set(ended["ran"])


def test_a_warning_names_its_line(tmp_path: Path) -> None:
    """In the log as `check` shows it: file, line, key, what is wrong, what to write."""
    path = tmp_path / "agent.yaml"
    device = 'press: {type: modbus, url: tcp://h, tags: {oil: {address: "holding:0", unit: "°C"}}}'
    path.write_text(f"agent: {{id: gw, data_dir: data}}\ndevices:\n  {device}\n")
    told = _started(path)
    (warning,) = [one["reason"] for one in told if one["event"] == "config.warning" and "UCUM" in one["reason"]]
    assert warning == f"{path}:3: `devices.press.tags.oil.unit`: '°C' is no unit in UCUM notation -> write \"Cel\""
