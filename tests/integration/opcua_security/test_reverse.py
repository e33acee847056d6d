"""Servers that call: a real server behind a dialler, read by a collector that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.connect.reception import Reception
from agent.core.errors import ConnectionLost, TransientError
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, Notebook
from tests.integration.opcua_security.fort import Fort, trusting
from tests.support.opcua_dialler import Dialler, calling
from tests.support.opcua_pki import Pair, make_pair
from tests.support.ports import free_port
from tests.support.waiting import eventually

SERVER = "urn:test:server"
SECURITY = {"policy": "Basic256Sha256"}


def device(port: int, server_uri: str = SERVER, **keys: Any) -> OpcUaConfig:
    endpoint = {"endpoint_url": keys.pop("endpoint_url")} if "endpoint_url" in keys else {}
    reverse = {"listen": f"127.0.0.1:{port}", "server_uri": server_uri, **endpoint}
    tags = {"a": {"node": f"nsu={URN};s=a"}}
    return OpcUaConfig.model_validate({"type": "opcua", "reverse": reverse, "interval": "50ms", "tags": tags, **keys})


class Listening:
    """One device and its connections."""

    def __init__(self, context: SimpleContext, made: OpcUaConfig, call: float = 20.0) -> None:
        self.collector = made.build("dev", context, BRISK._replace(call=call))
        self.context = context

    @property
    def waiting(self) -> int:
        """Calls that nobody has used yet."""
        (reception,) = self.context.buses.values()
        assert isinstance(reception, Reception)
        return len(reception._here)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Notebook]:
        async with self.collector.open() as samples:
            yield Notebook(["a"], samples, self.context)


async def _plant(hall: Hall, value: object) -> Plant:
    plant = await hall.plant()
    await plant.do(plant.add("a", value))
    return plant


async def test_values_come_although_nobody_dials(fort: Fort) -> None:
    """From the first call on everything is as ever; extra calls beside a session disturb nothing."""
    port = free_port()
    async with SimpleContext() as context:
        cnc = Listening(context, device(port))
        async with calling(port, fort.url, SERVER, "opc.tcp://cnc-07.invalid:4840/UA") as first:
            async with cnc.open() as notebook, calling(port, fort.url, SERVER) as second:
                await notebook.heard()
                assert notebook.newest("a") == 1.5
                assert b"opc.tcp://cnc-07.invalid:4840/UA" in first.answers[0], "it is told what it wants to be called"
                await eventually(lambda: second.calls >= 1)
                calls = len(notebook.samples)
                await notebook.until(lambda: len(notebook.samples) > calls)
                assert first.calls == 1
                await first.hush()
                with pytest.raises(ConnectionLost):
                    await notebook.until(lambda: False)
            await second.hush()
            await eventually(lambda: not cnc.waiting)
            first.resume()
            async with cnc.open() as notebook:
                await notebook.heard()
                assert len(notebook.losses) == 1, "what changed meanwhile is not known"


async def test_several_servers_call_at_one_address(hall: Hall) -> None:
    """Each becomes its own device; a stranger among them is turned away; who does not call is missed by name."""
    one, two = await _plant(hall, "one"), await _plant(hall, "two")
    port = free_port()
    async with (
        SimpleContext() as context,
        calling(port, one.url, "urn:one", "") as first,
        calling(port, two.url, "urn:two", "opc.tcp://two:4840") as second,
        calling(port, two.url, "urn:stranger") as stranger,
    ):
        async with (
            Listening(context, device(port, "urn:one")).open() as left,
            Listening(context, device(port, "urn:two", endpoint_url="opc.tcp://two:4840")).open() as right,
        ):
            await left.heard()
            await right.heard()
            assert (left.newest("a"), right.newest("a")) == ("one", "two")
            assert first.answers[0].endswith(bytes(4)), "it has no name for its endpoint, and is told none"
            await eventually(lambda: stranger.answers)
            assert {answer[:4] for answer in stranger.answers} == {b"ERRF"}
        await second.hush()
        missing = Listening(context, device(port, "urn:three", endpoint_url="opc.tcp://three"), call=0.05)
        with pytest.raises(
            ConnectionLost, match=rf"urn:three \(opc.tcp://three\) calling 127.0.0.1:{port}: it has not"
        ):
            async with missing.open():
                pass
    for plant in (one, two):
        await hall.stop(plant)


@asynccontextmanager
async def _secured(fort: Fort, data_dir: Path, **keys: Any) -> AsyncIterator[tuple[Listening, Dialler]]:
    port = free_port()
    made = device(port, **{"security": SECURITY, **keys})
    async with SimpleContext(data_dir=data_dir, agent="gw-01") as context, calling(port, fort.url, SERVER) as dialler:
        yield Listening(context, made), dialler


async def test_a_secured_server_calls_twice_at_first_and_once_from_then_on(
    fort: Fort, server_pair: Pair, tmp_path: Path
) -> None:
    """The first connection asks for its certificate; what it showed then is looked at again, not asked for again."""
    async with _secured(fort, trusting(tmp_path, server_pair)) as (cnc, dialler):
        for calls in (2, 3):
            async with cnc.open() as notebook:
                await notebook.heard()
            assert len(dialler.answers) == calls
        (tmp_path / "pki" / "trusted" / "server.der").unlink()
        with pytest.raises(TransientError, match="trust"):
            async with cnc.open():
                pass
        assert len(dialler.answers) == 3, "one that is trusted no longer is not even said Hello"


async def test_a_pinned_server_calls_once(fort: Fort, server_pair: Pair, tmp_path: Path) -> None:
    """Its certificate is known already."""
    security = {**SECURITY, "server_certificate": str(server_pair.der)}
    async with _secured(fort, tmp_path, security=security) as (cnc, dialler):
        async with cnc.open() as notebook:
            await notebook.heard()
        assert len(dialler.answers) == 1


async def test_a_name_alone_lets_nobody_in(fort: Fort, server_pair: Pair, tmp_path: Path) -> None:
    """An unknown certificate is refused as ever; a trusted one of another server is as well."""
    async with _secured(fort, tmp_path) as (cnc, _):
        with pytest.raises(TransientError, match="edge-agent trust"):
            async with cnc.open():
                pass
    port = free_port()
    made = device(port, "urn:test:another", security=SECURITY)
    trusted = trusting(tmp_path, server_pair)
    before = len(fort.doorman.came)
    async with SimpleContext(data_dir=trusted, agent="gw-01") as context, calling(port, fort.url, "urn:test:another"):
        with pytest.raises(TransientError, match=f"urn:test:another is expected, .* that of {SERVER}"):
            async with Listening(context, made).open():
                pass
    assert len(fort.doorman.came) == before, "nobody has logged in"


async def test_a_new_certificate_is_asked_for_again(hall: Hall, server_pair: Pair, tmp_path: Path) -> None:
    """The server was given another one, trusted as well: one attempt fails, the next one knows it."""
    fort = await Fort.build(hall, server_pair)
    data_dir = trusting(tmp_path, server_pair)
    async with _secured(fort, data_dir, timeout="1s") as (cnc, dialler):
        async with cnc.open() as notebook:
            await notebook.heard()
        await dialler.hush()
        await eventually(lambda: not cnc.waiting)
        await fort.stop()
        another = make_pair(tmp_path, "another", uri=SERVER)
        (data_dir / "pki" / "trusted" / "another.der").write_bytes(another.raw)
        fort = await Fort.build(hall, another, port=int(fort.url.rsplit(":", 1)[1]))
        dialler.resume()
        with pytest.raises(TransientError):
            async with cnc.open():
                pass
        async with cnc.open() as notebook:
            await notebook.heard()
    await fort.stop()
