"""Devices that close their connections, or are deaf after they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, Medium, medium, value
from tests.faults.southbound.conftest import Running, modbus
from tests.integration.modbus.reading import Said, said, take
from tests.integration.modbus.servers import device

TAGS: dict[str, object] = {
    name: {"address": f"holding:{offset}"} for name, offset in (("a", 0), ("b", 100), ("c", 200))
}


def closes_after(peer: Medium, seconds: float) -> Callable[[Ask], bytes]:
    """Answer, and close the connection so much later."""

    def script(ask: Ask) -> bytes:
        asyncio.get_running_loop().call_later(seconds, peer.hang_up)
        return ask.truth()

    return script


async def test_a_connection_closed_after_each_answer(running: Running) -> None:
    """Every block is read on a connection of its own, whether the close comes at once, or while the next is asked."""
    async with medium("tcp") as at_once, medium("tcp") as soon, medium("tcp") as paused, medium("rtu+tcp") as stream:
        for peer, seconds in ((at_once, 0.0), (soon, 0.02), (paused, 0.02), (stream, 0.0)):
            peer.script = closes_after(peer, seconds)
        devices = {
            "at_once": modbus(at_once.url, tags=TAGS, interval="500ms"),
            "soon": modbus(soon.url, tags=TAGS, interval="500ms"),
            "paused": modbus(paused.url, tags=TAGS, interval="500ms", workarounds={"pause_between_requests": "50ms"}),
            "stream": modbus(stream.url, tags=TAGS, interval="500ms"),
        }
        async with running(devices) as (agent, ear):
            for name in devices:
                await ear.good(name, TAGS)
                await ear.goes_on(name, "c", 4)
                bad = [one for tag in TAGS for one in ear.readings(name, tag) if one.quality != "good"]
                assert bad == [], f"{name}: {bad}"
            assert agent.events("device.offline") == []
            assert len(agent.events("modbus.closed_by_peer")) == len(devices), "once a bus"


async def test_what_was_read_before_a_loss_is_published() -> None:
    """A device that dies in the middle of its second block has its first one handed on, and is lost then."""
    async with medium("tcp") as peer, SimpleContext() as context:

        def cut(ask: Ask) -> bytes:
            if ask.offset == 100:
                asyncio.get_running_loop().call_soon(peer.hang_up)
                return ask.truth()[:5]
            return ask.truth()

        peer.script = cut
        config = device(peer.url, TAGS, timeout="60s")
        async with config.build("press", context).open() as samples:
            assert said(config, await take(samples)) == {"a": Said(4099, "Good")}
            with pytest.raises(ConnectionLost):
                await take(samples)


async def test_a_read_sent_again_is_not_mistaken_for_the_next() -> None:
    """A serial server may pass an answer on to the next connection: what is asked there first has another form."""
    async with medium("rtu+tcp") as peer, SimpleContext() as context:

        def cut(_: Ask) -> None:
            peer.script = Ask.truth
            asyncio.get_running_loop().call_later(0.15, peer.hang_up)

        config = device(peer.url, {"a": "holding:7"}, timeout="500ms", interval="50ms")
        async with config.build("press", context).open() as samples:
            await take(samples)
            asked = len(peer.asked)
            peer.script = cut
            while len(peer.asked) == asked:
                assert said(config, await take(samples))["a"].value == value(1, 7)
            assert said(config, await take(samples))["a"].value == value(1, 7)
            again = peer.asked[asked + 1]
            assert again.count != peer.asked[asked].count


def deaf(peer: Medium, seconds: float, heard_on: list[int]) -> Callable[[Ask], bytes | None]:
    """A device that ignores what it is asked for a while after each connect; `heard_on` which of them it answers."""
    hears_from: list[float] = []

    def script(ask: Ask) -> bytes | None:
        now = asyncio.get_running_loop().time()
        if peer.opened > len(hears_from):
            hears_from.append(now + seconds)
        if now < hears_from[-1]:
            return None
        heard_on.append(peer.opened)
        return ask.truth()

    return script


async def test_deaf_after_each_connect(running: Running) -> None:
    """The connection is kept until the device hears, and the log says how long that took."""
    async with medium("tcp") as tcp, medium("rtu+tcp") as stream:
        heard: dict[str, list[int]] = {"tcp": [], "stream": []}
        tcp.script, stream.script = deaf(tcp, 1.0, heard["tcp"]), deaf(stream, 1.0, heard["stream"])
        devices = {
            name: modbus(peer.url, tags=TAGS, timeout="200ms", interval="250ms")
            for name, peer in (("tcp", tcp), ("stream", stream))
        }
        async with running(devices) as (agent, ear):
            for name in devices:
                await ear.good(name, TAGS)
                assert heard[name][0] == 1
            events = agent.events("modbus.deaf_after_connect")
            assert all(1.0 <= event["seconds"] < 10.0 for event in events)
            assert len(events) == len(devices)
            offline = agent.events("device.offline")[0]
            assert "some devices need `workarounds: {pause_after_connect: 2s}`" in offline["reason"]
