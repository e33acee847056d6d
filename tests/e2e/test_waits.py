"""What ends a wait: a secret file that changed or a signal, of a publisher that was refused; a late certificate."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.faults.modbus.media import medium
from tests.faults.southbound.conftest import modbus
from tests.integration.modbus.independent import library
from tests.support.agent import AgentProcess
from tests.support.certs import make_certs
from tests.support.mosquitto import Mosquitto, StartMosquitto
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


async def test_a_device_waits_for_a_certificate_that_comes_late(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """At a boot the volume with its files is not there yet: it waits and is named, everybody else works."""
    made = make_certs(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server_cert, made.server_key)
    late = tmp_path / "late.pem"
    async with library("tls", context=context) as url, medium("tcp") as plain:
        devices = {
            "safe": modbus(url, registers=2, tls={"ca_file": str(late)}),
            "plain": modbus(plain.url, registers=2),
        }
        publishers = {"plant": {"type": "mqtt", "url": mosquitto.url}}
        with AgentProcess(tmp_path, publishers=publishers, devices=devices) as agent:
            await agent.start()

            async def state(name: str, wanted: str) -> dict[str, Any]:
                now: dict[str, Any] = (await agent.status())["devices"][name]
                assert (now["state"] == "offline") == (wanted == "offline"), now
                return now

            await online(agent, "plant")
            await eventually(lambda: state("plain", "online"))
            waiting = await state("safe", "offline")
            assert waiting["reason"].startswith("waits for tls.ca_file: ")
            (line,) = agent.events("component.waits_for_file")
            assert (line["component"], line["key"]) == ("device safe", "tls.ca_file")
            assert str(late) in line["reason"]
            late.write_bytes(made.ca.read_bytes())
            await eventually(lambda: state("safe", "online"), what="it has come")
            assert await agent.stop() == 0
        assert not agent.events("component.failed")
        assert len(agent.events("component.waits_for_file")) == 1
