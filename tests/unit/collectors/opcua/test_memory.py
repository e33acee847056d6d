"""What indexes of namespaces mean, from one run of the agent to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.memory import NamespaceMemory
from agent.collectors.opcua.plan import ConnectionPlan
from agent.testing.context import SimpleContext

BEFORE, NOW = ["ua", "own", "a", "b"], ["ua", "own", "x", "a", "b"]


def plan(url: str = "opc.tcp://192.0.2.1", **tags: str) -> ConnectionPlan:
    document = {"type": "opcua", "url": url, "tags": {name: {"node": node} for name, node in tags.items()}}
    return OpcUaConfig.model_validate(document).plan("cnc", "gw")


USUAL = plan(one="ns=2;i=1")


async def kept(folder: Path, by: ConnectionPlan = USUAL) -> SimpleContext:
    """What a run leaves that has read its nodes in BEFORE."""
    context = SimpleContext(data_dir=folder, recording=True)
    memory = NamespaceMemory()
    await memory.recall(by, context)
    memory.meanings.learn(BEFORE)
    memory.meanings.read.update({2, 3})
    await memory.keep(by, context)
    return context


@pytest.mark.parametrize(
    ("now", "index"),
    [
        (USUAL, 3),
        (plan(one="ns=2;i=1", two="ns=2;i=2"), 3),
        (plan(one="ns=2;i=2"), None),
        (plan("opc.tcp://192.0.2.2", one="ns=2;i=1"), None),
    ],
    ids=["the same", "one tag more", "written anew", "another server"],
)
async def test_what_the_next_run_knows(tmp_path: Path, now: ConnectionPlan, index: int | None) -> None:
    """An index is followed while a tag that uses it is as it was, at the same server; else it means what it is."""
    context = await kept(tmp_path)
    memory = NamespaceMemory()
    await memory.recall(now, context)
    moved = memory.meanings.moved(NOW)
    assert (moved[2].now if 2 in moved else None) == index


async def test_a_file_of_no_use(tmp_path: Path) -> None:
    """It is named once, and made anew."""
    context = await kept(tmp_path)
    path = tmp_path / "opcua" / "cnc.namespaces.json"
    path.write_bytes(b"{}")
    memory = NamespaceMemory()
    with capture_logs() as logs:
        await memory.recall(USUAL, context)
    assert [(line["event"], line["path"]) for line in logs] == [("opcua.namespaces_not_kept", str(path))]
    assert not memory.meanings.moved(NOW)
    await kept(tmp_path, plan(one="nsu=urn:a;i=1"))
    assert not path.exists(), "nothing rests on an index"


async def test_a_command_that_only_looks_leaves_no_file(tmp_path: Path) -> None:
    """It reads what the agent knows, and means the same."""
    await kept(tmp_path)
    before = (tmp_path / "opcua" / "cnc.namespaces.json").read_bytes()
    looking, memory = SimpleContext(data_dir=tmp_path), NamespaceMemory()
    await memory.recall(USUAL, looking)
    assert memory.meanings.moved(NOW)[2].now == 3
    memory.meanings.learn(NOW)
    await memory.keep(USUAL, looking)
    assert (tmp_path / "opcua" / "cnc.namespaces.json").read_bytes() == before
