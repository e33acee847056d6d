"""A data directory belongs to one agent: what waits in it goes out under the name it was read by."""

from __future__ import annotations

from pathlib import Path

from tests.support.agent import AgentProcess
from tests.support.ports import free_port


async def test_another_agent_cannot_take_over_what_waits(tmp_path: Path) -> None:
    """With another agent.id on the same data_dir the start is refused with what to do; the first one still starts."""
    publishers = {"plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{free_port()}"}}
    with AgentProcess(tmp_path, publishers=publishers, devices={}) as agent:
        await agent.start()
        assert await agent.stop() == 0
        mine = agent.document
        agent.configure({**mine, "agent": {**mine["agent"], "id": "gw-other"}})
        await agent.start(ready=False)
        assert await agent.ended(20) == 1
        assert "belongs to the agent gw-test" in agent.log_text
        assert "set another agent.data_dir" in agent.log_text
        agent.configure(mine)
        await agent.start()
        assert await agent.stop() == 0
