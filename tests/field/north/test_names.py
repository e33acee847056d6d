"""Brokers reached by a name: of several addresses one that answers is taken, and a resolver that hangs says so.

What such a resolver does to everybody else is in `tests/field/modbus/test_names.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any

import pytest

from agent.core.dial import connect_socket
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Message
from agent.core.resolve import Resolver
from agent.publishers.mqtt import dial
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Script
from tests.support.waiting import eventually


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str, threads: int = 4) -> None:
    """`broker.test` has these addresses, in this order; without threads its resolver never answers."""

    def lookup(_host: str, port: int, *_args: Any, **_keys: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    names = Resolver(lookup, threads=threads)
    monkeypatch.setattr(dial, "connect_socket", partial(connect_socket, names=names, stagger=0.01))


def publisher(port: int, **keys: object) -> Any:
    config = {"type": "mqtt", "url": f"mqtt://broker.test:{port}", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw"))


@pytest.mark.parametrize("dead", ["refuses", "is silent"])
async def test_one_of_two_addresses_is_dead(monkeypatch: pytest.MonkeyPatch, dead: str) -> None:
    """It stands first, and costs neither the connection nor its time-out."""
    named(monkeypatch, "127.0.0.9", "127.0.0.1")
    async with FakeBroker(Script()).serve() as broker:
        with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
            if dead == "is silent":  # its queue is full: nobody accepts
                deaf.bind(("127.0.0.9", broker.port))
                deaf.listen(0)
                for one in (first, second):
                    one.setblocking(False)
                    one.connect_ex(deaf.getsockname())
            async with publisher(broker.port, connect_timeout="60s").open(None, []) as session:
                await (await session.send([Message(topic="edge/d/readings", payload=b"{}")]))
        assert [one.topic for one in broker.published] == ["edge/d/readings"]


@pytest.mark.parametrize("dead", ["says nothing", "closes", "refuses us"])
async def test_one_of_two_addresses_accepts_and_is_no_broker(monkeypatch: pytest.MonkeyPatch, dead: str) -> None:
    """It stands first and takes the connection: the next attempt goes to the other one, and so do those after it."""
    named(monkeypatch, "127.0.0.9", "127.0.0.1")
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if said := await reader.read(1):
            asked.append(said)
        if dead == "refuses us":
            writer.write(b"\x20\x03\x00\x88\x00")
        if dead == "says nothing":
            await reader.read()  # until it is given up
        writer.close()

    async with FakeBroker(Script()).serve() as broker:
        server = await asyncio.start_server(answer, "127.0.0.9", broker.port)
        patience = ["300ms", "3s", "30s"] if dead == "says nothing" else ["60s"]
        while not asked:  # on a busy machine the time may be over before it has got there
            made = publisher(broker.port, connect_timeout=patience.pop(0))
            with pytest.raises(TransientError):
                async with made.open(None, []):
                    pass
            with contextlib.suppress(AssertionError):
                await eventually(lambda: asked, 1)
        made = publisher(broker.port, connect_timeout="60s")
        for _ in range(2):
            async with made.open(None, []) as session:
                await (await session.send([Message(topic="edge/d/readings", payload=b"{}")]))
        server.close()
        assert (len(asked), len(broker.published)) == (1, 2)


async def test_a_resolver_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names what cannot be resolved, after the time a connection may take."""
    named(monkeypatch, threads=0)
    with pytest.raises(ConnectionLost, match=r"cannot resolve 'broker\.test': no answer of the resolver"):
        async with asyncio.timeout(60), publisher(1883, connect_timeout="200ms").open(None, []):
            pass
