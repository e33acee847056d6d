"""`edge-agent browse` at a stack nobody here wrote, which enforces small limits, pages, and wants to be trusted."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from agent.config.loader import load
from agent.testing.context import SimpleContext
from agent.workbench.live import visits_of
from tests.interop.foreign import PASSWORD, node_opcua
from tests.support.opcua_pki import make_pair
from tests.support.processes import agent_command, process

COUNT = 2000


async def run(*arguments: str) -> tuple[int, str, str]:
    with process(*agent_command(*arguments)) as running:
        return await running.wait(100), running.stdout, running.stderr


@pytest.mark.soak
async def test_two_thousand_nodes_are_found_and_read(tmp_path: Path) -> None:
    """All of them below one folder, page by page, by few nodes at a time; what is printed runs against the server."""
    limits = {"maxNodesPerRead": 200, "maxNodesPerBrowse": 100, "maxMonitoredItemsPerCall": 500}
    pair = make_pair(tmp_path, "server")
    with node_opcua(tmp_path / "node", pair, nodes=COUNT, limits=limits, every=3_600_000) as (url, _):
        code, out, err = await run("browse", url, "--path", "v*")
        assert code == 0, err
        (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw, data_dir: {tmp_path}/data}}\n{out}")
        ((name, device),) = load(tmp_path / "agent.yaml", {}).config.devices.items()
        assert len(device.tags) == COUNT
        context = SimpleContext()
        async with aclosing(visits_of(name, device, device.build(name, context), context)) as visits:
            visit = await anext(visits)
    assert visit.good, visit.error
    assert all(reading.value == int(tag[1:]) for tag, reading in visit.readings.items())


async def test_it_is_trusted_first_and_never_less_secure(tmp_path: Path) -> None:
    """Nothing is asked of a stranger; the named command lets it in; policy and user stand in what is printed."""
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw, data_dir: {tmp_path}/data}}\n")
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    with node_opcua(tmp_path / "node", make_pair(tmp_path, "server")) as (url, _):
        secured = (
            "browse", url, "-c", f"{tmp_path}/agent.yaml", "--policy", "Basic256Sha256", "--username", "agent",
            "--password-file", f"{tmp_path}/password", "--path", "v*",
        )  # fmt: skip
        code, out, err = await run(*secured)
        assert (code, out) == (1, "")
        assert "edge-agent trust -c agent.yaml" in err
        thumbprint = err.partition("edge-agent trust -c agent.yaml ")[2].split()[0]
        assert (await run("trust", "-c", f"{tmp_path}/agent.yaml", thumbprint))[0] == 0
        code, out, err = await run(*secured)
        assert code == 0, err
        assert "security: {policy: Basic256Sha256}" in out
        assert "username: agent" in out
        assert "nothing is encrypted here" not in err
        code, out, err = await run("browse", url, "--path", "v*")
    assert code == 0
    assert "nothing is encrypted here, and the server could: --policy Aes256_Sha256_RsaPss" in err
