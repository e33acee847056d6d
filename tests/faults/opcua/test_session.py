"""The way to the server or the session on it is lost; the server itself goes on counting."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.uaprocessor import UaProcessor

from agent.simulator.proxy import Proxy
from tests.faults.opcua.brisk import PACE
from tests.faults.opcua.story import heard_truly, outages
from tests.faults.southbound.conftest import Running
from tests.integration.opcua.server import URN, Hall, Plant
from tests.support.opcua_counter import Counting
from tests.support.waiting import eventually

TAGS = {"a": 1, "b": 2}


def device(port: int, **keys: Any) -> dict[str, Any]:
    """Told every change, with room for a server that is late; patient, so that it is the server who breaks off."""
    tags = {tag: {"node": f"nsu={URN};s={tag}", "queue_size": 1000} for tag in TAGS}
    url = f"opc.tcp://127.0.0.1:{port}"
    return {"type": "opcua", "url": url, "interval": "100ms", "timeout": "10s", "tags": tags} | keys


async def counting(hall: Hall) -> tuple[Plant, int, Counting]:
    """A server, its port, and what it counts."""
    plant = await hall.plant()
    plant.server.iserver.min_session_timeout_ms = 100  # else our short sessions would be made longer
    counting = Counting([plant])
    await counting.add(*TAGS)
    counting.start()
    return plant, int(plant.url.rsplit(":", 1)[1]), counting


async def test_an_expired_session_is_replaced(brisk: Running, hall: Hall) -> None:
    """Held up for longer than the server remembers a session: it is gone when the way is free again."""
    plant, port, counter = await counting(hall)
    async with Proxy("127.0.0.1", port) as cable:
        async with brisk({"cnc": device(cable.port)}) as (_, ear):
            await ear.good("cnc", TAGS)
            await ear.goes_on("cnc", "a", 10)
            cable.freeze()
            await eventually(lambda: plant.sessions() == 0, what="the session has expired")
            cable.thaw()
            await ear.why("cnc", "recovered", list(TAGS))
            await ear.goes_on("cnc", "a", 10)
            assert plant.sessions() == 1
        assert plant.sessions() == 0
    assert outages(ear, "cnc", list(TAGS))
    heard_truly(ear, "cnc", TAGS, counter.diary)
    counter.stop()


async def test_a_channel_the_server_forgot_is_replaced(brisk: Running, hall: Hall) -> None:
    """Tokens are renewed under way without a gap; when the server knows the channel no more, a new one is made."""
    plant, port, counter = await counting(hall)
    async with brisk({"cnc": device(port)}) as (_, ear):
        await ear.good("cnc", TAGS)
        (first,) = plant.channels()
        token = first.security_token.TokenId
        await eventually(lambda: first.security_token.TokenId >= token + 2, what="the token was renewed twice")
        assert not ear.gaps
        assert not ear.readings("cnc", why="offline")
        first.security_token.ChannelId += 1000
        await ear.why("cnc", "recovered", list(TAGS))
        await ear.goes_on("cnc", "a", 10)
    await eventually(lambda: plant.sessions() == 0, what="ours is closed; the one of the lost channel runs out")
    (outage,) = outages(ear, "cnc", list(TAGS))
    assert outage.reason
    heard_truly(ear, "cnc", TAGS, counter.diary)
    counter.stop()


async def test_vanished_packets_and_a_server_that_is_full(
    brisk: Running, hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No FIN, no reset: the server keeps our old session, and has no second one for us until that has expired."""
    plant, port, counter = await counting(hall)
    server = plant.server.iserver
    server.min_session_timeout_ms = 6000
    create, refused = server.create_session, list[float]()

    def only_one(*args: Any, **more: Any) -> Any:
        if plant.sessions():
            refused.append(time.monotonic())
            raise ua.uaerrors.BadTooManySessions
        return create(*args, **more)

    monkeypatch.setattr(server, "create_session", only_one)
    async with Proxy("127.0.0.1", port) as cable:
        async with brisk({"cnc": device(cable.port, timeout="1s")}) as (_, ear):
            await ear.good("cnc", TAGS)
            await ear.goes_on("cnc", "a", 10)
            cable.lose()
            await ear.why("cnc", "offline", list(TAGS))
            cable.thaw()
            await eventually(lambda: "BadTooManySessions" in str(ear.state("cnc")["reason"]), what="it is full")
            await ear.why("cnc", "recovered", list(TAGS))
            await ear.goes_on("cnc", "a", 10)
            assert plant.sessions() == 1
        assert plant.sessions() == 0
    assert all(other - one >= PACE.session for one, other in pairwise(refused))
    assert outages(ear, "cnc", list(TAGS))
    heard_truly(ear, "cnc", TAGS, counter.diary)
    counter.stop()


async def test_stopped_while_it_connects_it_leaves_no_session(
    brisk: Running, hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM between the server's new session and the answer that tells of it: closed, although nobody uses it."""
    plant, port, counter = await counting(hall)
    monkeypatch.setattr(UaProcessor, "_should_close_session_on_transport_loss", lambda _self: False)
    async with Proxy("127.0.0.1", port) as cable:
        cable.delay = 0.15
        async with brisk({"cnc": device(cable.port)}) as (agent, ear):
            await eventually(lambda: plant.sessions() == 1, what="the server has made a session")
            assert await agent.stop() == 0
            assert not ear.readings("cnc", quality="good")
            await eventually(lambda: plant.sessions() == plant.connections() == 0, what="nothing is left at the server")
            await agent.start(ready=False)
            cable.delay = 0
            await ear.good("cnc", TAGS)
    heard_truly(ear, "cnc", TAGS, counter.diary)
    counter.stop()
