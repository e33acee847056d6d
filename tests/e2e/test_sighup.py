"""SIGHUP asks for a reload at any moment of a run, and never ends it. SIGTERM ends it at any moment."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

CONFIG = """
agent: {id: gw-test, data_dir: data}
http: null
publishers: {plant: {type: mqtt, url: "mqtt://127.0.0.1:1"}}
devices: {off: {type: modbus, url: "tcp://127.0.0.1:1", enabled: false, tags: {a: {address: "coil:0"}}}}
"""


def prepared(pid: int) -> bool:
    """Whether the process has got as far as to say what SIGHUP means to it."""
    text = Path(f"/proc/{pid}/status").read_text()
    masks = [int(found, 16) for found in re.findall(r"^Sig(?:Ign|Cgt):\t(\w+)$", text, re.MULTILINE)]
    return any(mask >> (signal.SIGHUP - 1) & 1 for mask in masks)


async def test_from_the_first_import_to_the_last_moment(tmp_path: Path) -> None:
    """Every few milliseconds from before the libraries are imported until the process is gone: a clean end."""
    (tmp_path / "agent.yaml").write_text(CONFIG)
    with process(*agent_command("run", "-c", "agent.yaml"), cwd=tmp_path) as agent:
        await eventually(lambda: prepared(agent.pid), what="SIGHUP means something")
        assert agent.stdout == ""
        stopping = False

        def ended() -> bool:
            nonlocal stopping
            if agent.returncode is None:
                agent.signal(signal.SIGHUP)
                if not stopping and '"agent.started"' in agent.stdout:
                    stopping = True
                    agent.terminate()
            return agent.returncode is not None

        await eventually(ended, what="it ends")
        assert agent.returncode == 0, agent.tail()
        assert stopping


async def test_a_start_with_mistakes_ends_with_2(tmp_path: Path) -> None:
    """Not with the signal that came meanwhile."""
    (tmp_path / "agent.yaml").write_text("devices: {")
    with process(*agent_command("run", "-c", "agent.yaml"), cwd=tmp_path) as agent:
        await eventually(lambda: prepared(agent.pid), what="SIGHUP means something")

        def ended() -> bool:
            if agent.returncode is None:
                agent.signal(signal.SIGHUP)
            return agent.returncode is not None

        await eventually(ended, what="it ends")
        assert agent.returncode == 2, agent.tail()


#: `edge-agent` that gets no further than to the import of the commands.
STANDS_STILL = """
import sys, time
class StandsStill:
    def find_spec(self, name, *_):
        if name == "agent.cli":
            open("importing", "w").close()
            time.sleep(600)
sys.meta_path.insert(0, StandsStill())
from agent.__main__ import main
main()
"""


@pytest.mark.parametrize("command", ["run", "historian"])
async def test_sigterm_during_the_imports_is_a_clean_end(tmp_path: Path, command: str) -> None:
    """With a handler, because there is no default action for PID 1 of a container: it would go on for ever."""
    with process(sys.executable, "-c", STANDS_STILL, command, "-c", "agent.yaml", cwd=tmp_path) as agent:
        await eventually((tmp_path / "importing").exists, 30, "it imports the commands")
        agent.terminate()
        assert await agent.wait(30) == 0
