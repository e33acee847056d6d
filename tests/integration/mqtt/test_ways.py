"""To a real broker through WebSocket, proxies and a list of servers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest

from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Message
from agent.core.ports import Publisher
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.context import SimpleContext
from tests.support.certs import make_certs
from tests.support.mosquitto import Mosquitto, StartMosquitto
from tests.support.mqtt import observing
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.support.ways import gateway, http_proxy, socks_proxy

versions = pytest.mark.parametrize("version", ["5", "3.1.1"])


def publisher(url: str, **keys: object) -> Publisher:
    config = {"type": "mqtt", "url": url, "connect_timeout": "5s", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


def message(payload: bytes = b"{}") -> Message:
    return Message(topic="edge/d/readings", payload=payload)


async def works(made: Publisher) -> str:
    """Data flows in both directions, small and large; which server it was."""
    async with made.open(None, ["edge/#"]) as session:
        for payload in (b"x", bytes(300), bytes(100_000)):
            await asyncio.wait_for(await session.send([message(payload)]), 10)
        sizes: list[int] = []
        async with asyncio.timeout(10):
            async for incoming in session.incoming():
                sizes.append(len(incoming.payload))
                if len(sizes) == 3:
                    break
        assert sizes == [1, 300, 100_000]
        return session.limits.server


async def lost(made: Publisher) -> TransientError:
    with pytest.raises(TransientError) as caught:
        async with made.open(None, []):
            pass
    return caught.value


# --- WebSocket --------------------------------------------------------------------------------------------------------


@versions
async def test_over_websocket(mosquitto: Mosquitto, version: str) -> None:
    """ws:// with its path and the subprotocol mqtt; frames of any size, in both directions."""
    async with gateway(mosquitto.port) as way:
        await works(publisher(f"ws://127.0.0.1:{way.port}/plant?x=1", version=version))
        await works(publisher(f"ws://127.0.0.1:{way.port}", version=version))
        assert way.seen == ["GET /plant?x=1 HTTP/1.1 mqtt", "GET /mqtt HTTP/1.1 mqtt"]
        way.refuse = True
        error = await lost(publisher(f"ws://127.0.0.1:{way.port}"))
        assert isinstance(error, ConnectionLost)
        assert "does not speak MQTT over WebSocket" in str(error)


async def test_a_websocket_that_is_cut_is_a_lost_connection(mosquitto: Mosquitto) -> None:
    """The broker behind a gateway goes: the session ends, and the next one works."""
    async with gateway(mosquitto.port) as way:
        made = publisher(f"ws://127.0.0.1:{way.port}")
        async with made.open(None, []) as session:
            mosquitto.kill()
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(session.closed(), 5)
        mosquitto.start()
        await works(made)


async def test_a_gateway_that_is_silent_is_bounded() -> None:
    """No answer to the upgrade costs connect_timeout."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(4)
        error = await lost(publisher(f"ws://127.0.0.1:{listening.getsockname()[1]}", connect_timeout="100ms"))
    assert "answer" in str(error)


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "gw:s3cret"])
@pytest.mark.parametrize(("scheme", "proxy"), [("http", http_proxy), ("socks5", socks_proxy)])
async def test_through_a_proxy(mosquitto: Mosquitto, tmp_path: Path, scheme: str, proxy, user: str | None) -> None:
    """The proxy resolves and connects; its password is read from the file at every connection."""
    async with proxy(user) as way:
        keys: dict[str, object] = {"proxy": f"{scheme}://127.0.0.1:{way.port}"}
        secret = tmp_path / "secret"
        if user is not None:
            secret.write_text("wrong")
            keys |= {"proxy_username": "gw", "proxy_password_file": str(secret)}
        made = publisher(f"mqtt://localhost:{mosquitto.port}", **keys)
        if user is not None:
            error = await lost(made)
            assert not isinstance(error, ConnectionLost)
            assert "check proxy_username and proxy_password_file" in str(error)
            secret.write_text("s3cret\n")
        await works(made)
        assert f"localhost:{mosquitto.port}" in way.seen[-1]
        way.refuse = True
        assert "does not connect to localhost" in str(await lost(made))
    assert "cannot connect to the proxy" in str(await lost(made))


async def test_tls_through_a_proxy_is_the_broker_s(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """The certificate verified is the broker's, by the broker's name."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs)
    async with http_proxy() as way:
        keys = {"proxy": f"http://127.0.0.1:{way.port}", "tls": {"ca_file": str(certs.ca)}}
        await works(publisher(f"mqtts://localhost:{broker.port}", **keys))
        assert way.seen == [f"CONNECT localhost:{broker.port} HTTP/1.1"]


# --- certificates -----------------------------------------------------------------------------------------------------


async def test_certificates_are_read_anew(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """Replaced files count from the next connection on: the authority trusted, and our own certificate."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = make_certs(tmp_path / "old"), make_certs(tmp_path / "new")
    broker = start_mosquitto(tls=new, listener="require_certificate true\nuse_identity_as_username true")
    used = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}

    def install(certs) -> None:
        used["ca_file"].write_bytes(certs.ca.read_bytes())
        used["cert_file"].write_bytes(certs.client_cert.read_bytes())
        used["key_file"].write_bytes(certs.client_key.read_bytes())

    install(old)
    made = publisher(f"mqtts://localhost:{broker.port}", tls={key: str(path) for key, path in used.items()})
    assert "is refused" in str(await lost(made))
    install(new)
    await works(made)
    install(old)
    used["ca_file"].write_bytes(new.ca.read_bytes())
    await lost(made)


async def test_tls_below_1_2_is_refused(tmp_path: Path) -> None:
    """A server that speaks TLS 1.1 at most gets no session."""
    certs = make_certs(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                try:
                    context.wrap_socket(peer, server_side=True)
                except OSError as error:
                    said.append(str(error))

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        error = await lost(publisher(f"mqtts://localhost:{port}", tls={"ca_file": str(certs.ca)}))
        thread.join(5)
    assert "it speaks no TLS 1.2" in str(error)
    assert "UNSUPPORTED_PROTOCOL" in said[0].upper().replace(" ", "_")


# --- several brokers --------------------------------------------------------------------------------------------------


async def test_the_next_broker_has_its_turn(start_mosquitto: StartMosquitto) -> None:
    """One that is not there is passed over; one that breaks off is left for the next; the one that works is kept."""
    first, second = start_mosquitto(), start_mosquitto()
    made = publisher(f"mqtt://127.0.0.1:{free_port()}", other_urls=[first.url, second.url])
    await lost(made)
    async with made.open(None, []) as session, observing(first.port, "edge/#") as observer:
        assert session.limits.server.endswith(str(first.port))
        await asyncio.wait_for(await session.send([message()]), 5)
        await eventually(lambda: observer.seen)
    async with made.open(None, []) as session:
        assert session.limits.server.endswith(str(second.port))
        second.kill()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 5)
    await lost(made)
    assert (await works(made)).endswith(str(first.port))
