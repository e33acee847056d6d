"""A broker and a WebSocket server nobody here wrote: what works with mosquitto and our own gateway may be luck."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import TransientError
from agent.core.flow import Message
from agent.core.ports import Publisher
from agent.publishers.mqtt.config import MqttConfig
from agent.simulator.proxy import Proxy
from agent.testing.context import SimpleContext
from tests.interop.aedes import WAYS, AedesBroker, aedes
from tests.support.certs import Certs, make_certs
from tests.support.consumer import consuming
from tests.support.load import SCAN, caught_up, offline, route_of
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make_certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def broker(certs: Certs) -> Iterator[AedesBroker]:
    with aedes(certs) as running:
        yield running


def publisher(url: str, **keys: object) -> Publisher:
    config = {"type": "mqtt", "url": url, "connect_timeout": "10s", "max_incoming_bytes": "1MiB", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


def papers(certs: Certs) -> dict[str, str]:
    return {"ca_file": str(certs.ca), "cert_file": str(certs.client_cert), "key_file": str(certs.client_key)}


async def works(made: Publisher) -> str:
    """Data flows in both directions, of any size; which version was spoken."""
    async with made.open(None, ["edge/#"]) as session:
        sizes = [1, 120, 126, 65_535, 65_536, 300_000, 2]
        futures = [await session.send([Message(topic="edge/d/readings", payload=bytes(size))]) for size in sizes]
        await asyncio.wait_for(asyncio.gather(*futures), 20)
        heard: list[int] = []
        async with asyncio.timeout(20):
            async for incoming in session.incoming():
                heard.append(len(incoming.payload))
                if len(heard) == len(sizes):
                    break
        assert heard == sizes
        return session.limits.protocol


async def refused(made: Publisher) -> TransientError:
    with pytest.raises(TransientError) as caught:
        async with made.open(None, []):
            pass
    return caught.value


@pytest.mark.parametrize("way", WAYS)
async def test_every_way(broker: AedesBroker, certs: Certs, way: str) -> None:
    """TCP, TLS, WebSocket, WebSocket in TLS: 5 is tried first each time, 3.1.1 works, our certificate is seen."""
    secured = way in ("mqtts", "wss")
    made = publisher(broker.url(way), **({"tls": papers(certs)} if secured else {}))
    before = {word: len(broker.said(word)) for word in ("client", "named", "refused")}
    for _ in range(2):
        assert await works(made) == "3.1.1"
    assert broker.said("client")[before["client"] :] == ["gw-01-plant 4"] * 2
    assert broker.said("named")[before["named"] :] == (["client"] * 4 if secured else [])
    assert len(broker.said("refused")) - before["refused"] == 2


@pytest.mark.parametrize("way", ["mqtts", "wss"])
async def test_strangers_get_nowhere_and_nothing_is_downgraded(broker: AedesBroker, certs: Certs, way: str) -> None:
    """Another authority, another name, no certificate of ours: no session, and nobody tries it without TLS."""
    clients = len(broker.said("client"))
    error = await refused(publisher(broker.url(way), tls=papers(certs) | {"ca_file": str(certs.other_ca)}))
    assert "is refused" in str(error)
    assert "check tls.ca_file" in str(error)
    error = await refused(publisher(broker.url(way), tls=papers(certs) | {"server_name": "other.example"}))
    assert "is refused" in str(error)
    for version in ("5", "3.1.1"):
        await refused(publisher(broker.url(way), version=version, tls={"ca_file": str(certs.ca)}))
    await refused(publisher(broker.url(way).replace(f"{way}://", {"mqtts": "mqtt://", "wss": "ws://"}[way])))
    assert len(broker.said("client")) == clients


async def test_certificates_are_read_anew_over_websocket(broker: AedesBroker, certs: Certs, tmp_path: Path) -> None:
    """Files replaced between two connections count at the second: the authority trusted, and our own certificate."""
    strange = make_certs(tmp_path / "strange")
    used = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}

    def install(name: str, source: Path) -> None:
        used[name].write_bytes(source.read_bytes())

    for name, path in papers(certs).items():
        install(name, Path(path))
    made = publisher(broker.url("wss"), tls={name: str(path) for name, path in used.items()})
    await works(made)
    install("ca_file", strange.ca)
    assert "is refused" in str(await refused(made))
    install("ca_file", certs.ca)
    install("cert_file", strange.client_cert)
    assert "tls.cert_file" in str(await refused(made))  # certificate and key do not belong together
    install("key_file", strange.client_key)
    await refused(made)
    install("cert_file", certs.client_cert)
    install("key_file", certs.client_key)
    await works(made)


async def test_a_websocket_path_nobody_serves(broker: AedesBroker) -> None:
    """The server's refusal is told as what it is."""
    error = await refused(publisher(broker.url("ws") + "/elsewhere"))
    assert "does not speak MQTT over WebSocket here" in str(error)


async def test_a_takeover(broker: AedesBroker) -> None:
    """The older session under one client id ends, the newer one works."""
    made, other = publisher(broker.url("ws")), publisher(broker.url("ws"))
    async with made.open(None, []) as first:
        assert await works(other) == "3.1.1"
        with pytest.raises(TransientError):
            await asyncio.wait_for(first.closed(), 30)


async def test_an_agent_over_websocket_in_tls(
    broker: AedesBroker, certs: Certs, tmp_path: Path, start_load: Any, make_agent: Any
) -> None:
    """End to end: cut, with another authority in its files, and killed, it loses nothing and never speaks in clear."""
    load = await start_load(2)
    used = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    for name, path in papers(certs).items():
        used[name].write_bytes(Path(path).read_bytes())
    async with consuming(broker.url("mqtt")) as consumer, Proxy("127.0.0.1", broker.port("wss")) as cable:
        tls = {name: str(path) for name, path in used.items()}
        url = f"wss://localhost:{cable.port}"
        agent = make_agent(load, cable.port, url=url, tls=tls, replay={"max_rate": "200/s"}, publisher="ws")
        await agent.start()
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await offline(agent, "ws")
        used["ca_file"].write_bytes(certs.other_ca.read_bytes())
        clients = len(broker.said("client"))
        await cable.restore()

        async def refused_by_us() -> bool:
            return "is refused" in ((await route_of(agent, "ws"))["reason"] or "")

        await eventually(refused_by_us)
        assert len(broker.said("client")) == clients
        used["ca_file"].write_bytes(certs.ca.read_bytes())
        agent.kill()
        await agent.start()
        await consumer.heard(3, *load.devices, timeout=40)
        await caught_up(agent, "ws")
        assert await agent.stop() == 0
        await consumer.check()
        assert consumer.lost_scans(SCAN) == []
