"""What ends the wait of a publisher that was refused: a secret file that changed, and a signal."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.support.agent import AgentProcess
from tests.support.mosquitto import StartMosquitto
from tests.support.waiting import eventually


async def refused(agent: AgentProcess, name: str) -> int:
    """Wait until it was refused for half a minute; when it would try again by itself."""

    async def so() -> int:
        document = await agent.status()
        now = document["publishers"][name]
        assert "not authorised" in (now["reason"] or "") or "bad user name" in (now["reason"] or ""), now
        attempt: int = now["next_attempt"] or 0
        assert attempt > document["ts"] + 20_000
        return attempt

    return await eventually(so, what=f"{name} is refused, and waits")


async def online(agent: AgentProcess, name: str) -> int:
    """Wait until it is; since when."""

    async def so() -> int:
        now = (await agent.status())["publishers"][name]
        assert now["state"] == "online"
        since: int = now["since"]
        return since

    return await eventually(so, what=f"{name} is online")


async def test_a_refused_publisher_does_not_wait_when_something_was_mended(
    tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    """The half minute a refusal costs ends when the password file has another password, and at SIGHUP."""
    users = tmp_path / "users"
    users.touch()

    def known(user: str) -> None:
        subprocess.run(["mosquitto_passwd", "-b", str(users), user, "right"], check=True, capture_output=True)

    known("mistaken")
    broker = start_mosquitto(f"password_file {users}", anonymous=False)
    publishers: dict[str, Any] = {}
    for user, password in (("mistaken", "wrong"), ("late", "right")):
        secret = tmp_path / user
        secret.write_text(password)
        publishers[user] = {
            "type": "mqtt", "url": broker.url, "username": user, "password_file": str(secret), "root": user,
            "version": "5",
        }  # fmt: skip
    off = {"type": "modbus", "url": "tcp://127.0.0.1:1", "enabled": False, "tags": {"a": {"address": "coil:0"}}}
    with AgentProcess(tmp_path, publishers=publishers, devices={"off": off}) as agent:
        await agent.start()
        attempt = {user: await refused(agent, user) for user in publishers}
        assert {event["retry_in_s"] >= 20 for event in agent.events("publisher.offline")} == {True}
        (tmp_path / "mistaken").write_text("right")
        assert await online(agent, "mistaken") < attempt["mistaken"]
        known("late")
        broker.restart()
        os.kill(agent.pid, signal.SIGHUP)
        assert await online(agent, "late") < attempt["late"]
        assert await agent.stop() == 0
