"""Servers reached by a name: every address of it is tried, and a name nobody resolves is said as what it is."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any

import pytest

from agent.collectors.opcua.connect import channel
from agent.core.dial import connect_socket
from agent.core.errors import ConnectionLost
from agent.core.resolve import Resolver
from tests.integration.opcua.server import URN, Plant
from tests.integration.opcua.support import collecting

TAGS = {"a": f"nsu={URN};s=a"}


@pytest.mark.parametrize("first", ["refuses", "accepts and closes"])
async def test_the_second_address_of_a_name(plant: Plant, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """The first one refuses, or accepts and is no server: it is read all the same, at the next attempt."""

    def lookup(_host: str, port: int, *_args: Any, **_keys: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(channel, "connect_socket", partial(connect_socket, names=Resolver(lookup)))
    port = plant.url.rsplit(":", 1)[1]

    def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    if first != "refuses":
        async with await asyncio.start_server(close, "127.0.0.9", int(port)):
            with pytest.raises(ConnectionLost):
                async with collecting(f"opc.tcp://cnc.plant.test:{port}", TAGS):
                    pass
            await read(port)
    else:
        await read(port)


async def read(port: str) -> None:
    async with collecting(f"opc.tcp://cnc.plant.test:{port}", TAGS) as notebook:
        await notebook.heard()
        assert notebook.newest("a") == 1.5


async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names it."""

    def lookup(*_args: Any, **_keys: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(channel, "connect_socket", partial(connect_socket, names=Resolver(lookup)))
    with pytest.raises(ConnectionLost, match=r"cannot resolve 'cnc\.plant\.test'"):
        async with collecting("opc.tcp://cnc.plant.test:4840", TAGS):
            pass
