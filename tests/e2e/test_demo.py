from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.processes import agent_command, process
from tests.support.waiting import eventually


def audit_of(text: str) -> dict[str, int]:
    line = next(line for line in text.splitlines() if line.startswith("audit: "))
    assert re.match(r"audit: messages=\d+ readings=\d+ missing=\d+ duplicates=\d+ undeclared_gaps=\d+", line)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


async def test_demo_in_a_pipe_shows_both_faults_and_loses_nothing():
    """A device goes and comes back, the way to the broker is cut and restored, and at the end nothing is missing."""
    with process(*agent_command("demo", "--seconds", "12")) as demo:
        code = await demo.wait(75)
        assert code == 0, demo.tail()
        said = demo.stdout
    audit = audit_of(said)
    assert f"historian: rows={audit['readings']} twice=0 missing=0" in said
    assert "\x1b" not in said
    for part in ("goes offline", "subscriber sees press-01 device offline", "comes back", "is cut", "agent offline"):
        assert part in said
    assert audit["messages"] > 20
    assert audit["historical"] > 0
    for name in ("missing", "undeclared_gaps", "pending", "conflicts", "disorder", "no_snapshot", "undecodable"):
        assert audit[name] == 0, audit


async def test_ctrl_c_ends_a_demo_in_order():
    """The agent is stopped first, then audited; no process of it stays behind."""
    with process(*agent_command("demo")) as demo:
        await eventually(lambda: "agent=online" in demo.stdout, what="first totals")
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 3
        demo.signal(signal.SIGINT)
        code = await demo.wait(60)
        assert code == 0, demo.tail()
        assert "exit code 0" in demo.stdout
        assert audit_of(demo.stdout)["missing"] == 0
        await eventually(lambda: not any(child.is_running() for child in children))


async def test_a_demo_that_is_killed_leaves_nothing_running():
    """Broker, agent and historian end with the demo, also when nobody tells them."""
    with process(*agent_command("demo")) as demo:
        await eventually(lambda: "its log: " in demo.stdout, what="the agent")
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 3
        demo.kill()
        folder = Path(demo.stdout.split("its log: ")[1].split()[0]).parent
    try:
        await eventually(lambda: not any(child.is_running() for child in children))
    finally:
        shutil.rmtree(folder)


@pytest.mark.soak
async def test_a_demo_that_is_stopped_before_it_began_says_so():
    """There is nothing to audit then, which is no failure, and nothing stays in the temporary folder."""
    with process(*agent_command("demo")) as demo:
        await eventually(lambda: "broker: " in demo.stdout, what="the broker")
        demo.signal(signal.SIGINT)
        assert await demo.wait(60) == 130, demo.tail()
        assert "nothing to audit" in demo.tail()
        assert "logs: " not in demo.tail()
