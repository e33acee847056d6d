from __future__ import annotations

from pathlib import Path

from tests.faults.southbound.ear import hearing
from tests.integration.opcua.server import Hall
from tests.integration.opcua_security.fort import PASSWORD, TAGS, Fort
from tests.support.agent import AgentProcess
from tests.support.mosquitto import Mosquitto
from tests.support.opcua_pki import Pair
from tests.support.processes import agent_command, run_process
from tests.support.waiting import eventually


def trust(agent: AgentProcess, what: str) -> None:
    """As a person does it, beside the running agent."""
    done = run_process(*agent_command("trust", "-c", str(agent.config), what))
    assert done.returncode == 0, done.stderr


async def test_what_a_consumer_sees_of_a_server_that_has_to_be_trusted(
    hall: Hall, server_pair: Pair, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """Bad until a person trusts it, good then without a restart; a new certificate: tests/faults/opcua."""
    server = await Fort.build(hall, server_pair)
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    device = {
        "type": "opcua",
        "url": server.url,
        "interval": "100ms",
        "timeout": "2s",
        "security": {"policy": "Aes256_Sha256_RsaPss"},
        "username": "agent",
        "password_file": str(tmp_path / "password"),
        "tags": {name: {"node": node} for name, node in TAGS.items()},
    }
    publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
    async with hearing(mosquitto.url) as ear:
        with AgentProcess(tmp_path, publishers=publishers, devices={"cnc": device}) as agent:
            await agent.start()
            await eventually(lambda: ear.readings("cnc", "a", quality="bad", why="offline"), what="it is bad")
            assert server_pair.thumbprint in str(ear.states["cnc"][-1]["reason"])
            trust(agent, "cnc")
            await eventually(lambda: ear.readings("cnc", "a", quality="good"), what="it is good")
            assert 'certificate="server",device="cnc"' in await agent.metrics()
            assert await agent.stop() == 0
        assert len(agent.events("opcua.certificate_rejected")) == 1
        assert len(agent.events("opcua.certificate_created")) == 1
        assert agent.events("component.bug") == []
        assert PASSWORD not in agent.log_text
    await server.stop()
