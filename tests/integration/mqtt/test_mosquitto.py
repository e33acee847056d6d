"""Our MQTT publisher at a real broker."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.core.errors import ConnectionLost, Rejected, TransientError
from agent.core.flow import Message
from agent.core.ports import Publisher, Session
from agent.publishers.mqtt.config import MqttConfig
from agent.telemetry.metrics import PUBLISHER_CERT_EXPIRY
from agent.testing.context import SimpleContext
from tests.support.certs import make_certs
from tests.support.mosquitto import Mosquitto, StartMosquitto
from tests.support.mqtt import observing
from tests.support.waiting import eventually

STATUS = "edge/agents/gw-01/status"
WILL = Message(topic=STATUS, payload=b"offline", retain=True)
versions = pytest.mark.parametrize("version", ["5", "3.1.1"])


def publisher(url: str, **keys: object) -> Publisher:
    config = {"type": "mqtt", "url": url, "connect_timeout": "5s", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


def message(topic: str = "edge/d/readings", payload: bytes = b"{}", **keys: object) -> Message:
    return Message(topic=topic, payload=payload, **keys)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(url: str, **keys: object) -> AsyncIterator[Session]:
    async with publisher(url, **keys).open(WILL, []) as session:
        yield session


def open_sockets() -> set[str]:
    gc.collect()
    return {name for fd in Path("/proc/self/fd").iterdir() if "socket:" in (name := os.path.realpath(fd))}


async def test_properties_reach_an_mqtt_5_subscriber(mosquitto: Mosquitto) -> None:
    """Content type and user properties pass; readings are not retained."""
    async with observing(mosquitto.port, "edge/#") as observer, opened(mosquitto.url) as session:
        properties = (("schema", "edge.readings.v1"), ("seq", "7"))
        sent = message(content_type="application/json", properties=properties)
        await asyncio.wait_for(await session.send([sent]), 5)
        await eventually(lambda: observer.seen)
        seen = observer.seen[0]
        assert (seen.content_type, seen.properties, seen.retain, seen.qos) == (
            "application/json", dict(properties), False, 1,
        )  # fmt: skip


@versions
async def test_large_messages_pass(mosquitto: Mosquitto, version: str) -> None:
    """Messages larger than any socket buffer arrive whole."""
    payloads = [bytes([n]) * 700_000 for n in range(5)]
    async with observing(mosquitto.port, "edge/#") as observer, opened(mosquitto.url, version=version) as session:
        futures = [await session.send([message(payload=payload)]) for payload in payloads]
        await asyncio.wait_for(asyncio.gather(*futures), 10)
        await eventually(lambda: len(observer.seen) == 5)
        assert [one.payload for one in observer.seen] == payloads


@versions
async def test_the_will_speaks_when_the_link_breaks(mosquitto: Mosquitto, version: str) -> None:
    """A broken socket makes the broker publish the will, retained; a clean end does not."""
    async with observing(mosquitto.port, "edge/#") as observer:
        made = publisher(mosquitto.url, version=version)
        async with made.open(WILL, []) as session:
            await asyncio.wait_for(await session.send([message(STATUS, b"online", retain=True)]), 5)
        async with made.open(WILL, []) as session:
            await asyncio.wait_for(await session.send([message(STATUS, b"again", retain=True)]), 5)
            session._link.abort("cut by the test")  # type: ignore[attr-defined]
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(session.closed(), 30)
        await eventually(lambda: len(observer.seen) == 3)
        assert [(one.payload, one.retain) for one in observer.seen] == [
            (b"online", True), (b"again", True), (b"offline", True),
        ]  # fmt: skip


async def test_retained_status_meets_late_subscribers(mosquitto: Mosquitto) -> None:
    """A retained message is there for who comes later; an empty one takes it back."""
    async with opened(mosquitto.url) as session:
        await asyncio.wait_for(await session.send([message("edge/d/status", b"online", retain=True)]), 5)
        async with observing(mosquitto.port, "edge/#") as late:
            await eventually(lambda: [one.payload for one in late.seen] == [b"online"])
        await asyncio.wait_for(await session.send([message("edge/d/status", b"", retain=True)]), 5)
        async with observing(mosquitto.port, "edge/#") as later:
            await later.publish("edge/end", b"")
            await eventually(lambda: later.on("edge/end"))
            assert not later.on("edge/d")


async def test_acl_denial_keeps_the_data(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """MQTT 5: what access rules forbid comes back as 0x87, to be tried again much later; the rest flows."""
    (tmp_path / "acl").write_text("topic readwrite edge/ok/#\n")
    broker = start_mosquitto(f"acl_file {tmp_path / 'acl'}")
    async with opened(broker.url) as session:
        denied, granted = await session.send([message("edge/no/1")]), await session.send([message("edge/ok/1")])
        await asyncio.wait_for(granted, 5)
        with pytest.raises(TransientError, match="not authorised to publish") as caught:
            await asyncio.wait_for(denied, 5)
        assert caught.value.retry_after == 300


async def test_mosquitto_s_size_limit_is_understood(start_mosquitto: StartMosquitto) -> None:
    """message_size_limit answers with a code that is not legal for PUBACK: a limit is learned, down to 1 KiB."""
    broker = start_mosquitto("message_size_limit 500")
    made = publisher(broker.url)
    async with made.open(None, []) as session:
        with pytest.raises(ConnectionLost, match="too large"):
            await asyncio.wait_for(await session.send([message(payload=b"x" * 2000)]), 5)
    async with made.open(None, []) as session:
        assert session.limits.cut_bytes == 1024
        for size in (2000, 600):
            with pytest.raises(Rejected):
                await asyncio.wait_for(await session.send([message(payload=b"x" * size)]), 5)
        await asyncio.wait_for(await session.send([message()]), 5)


async def test_mosquitto_s_packet_limit_is_announced(start_mosquitto: StartMosquitto) -> None:
    """max_packet_size is known from CONNACK and never exceeded."""
    broker = start_mosquitto("max_packet_size 2000")
    async with opened(broker.url) as session:
        assert session.limits.max_packet_bytes == 2000
        with pytest.raises(Rejected):
            await (await session.send([message(payload=b"x" * 2000)]))
        await asyncio.wait_for(await session.send([message(payload=b"x" * 1900)]), 5)


@versions
async def test_bad_credentials_are_said(start_mosquitto: StartMosquitto, version: str) -> None:
    """A broker that wants a password says so; the error names what to check."""
    broker = start_mosquitto(anonymous=False)
    with pytest.raises(TransientError, match="check username, password and client_id") as caught:
        async with opened(broker.url, version=version):
            pass
    assert caught.value.retry_after == 30


async def test_same_client_id_takes_over(mosquitto: Mosquitto) -> None:
    """The older session ends (mosquitto 2.0 hangs up without a word), the newer one works."""
    async with opened(mosquitto.url) as first, opened(mosquitto.url) as second:
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(first.closed(), 30)
        await asyncio.wait_for(await second.send([message()]), 5)


async def test_a_broker_restart_is_survived(mosquitto: Mosquitto) -> None:
    """A session ends with the broker; the next one works with the same publisher."""
    made = publisher(mosquitto.url)
    async with made.open(WILL, []) as session:
        mosquitto.stop()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    with pytest.raises(ConnectionLost, match="cannot connect"):
        async with made.open(WILL, []):
            pass
    mosquitto.start()
    async with made.open(WILL, []) as session:
        await asyncio.wait_for(await session.send([message()]), 5)


# --- TLS --------------------------------------------------------------------------------------------------------------


@versions
async def test_tls_with_the_right_authority(start_mosquitto: StartMosquitto, tmp_path: Path, version: str) -> None:
    """Over TLS data flows in both directions, also where a record holds more than one packet."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs)
    url = f"mqtts://localhost:{broker.port}"
    async with publisher(url, version=version, tls={"ca_file": str(certs.ca)}).open(WILL, ["edge/#"]) as session:
        futures = [await session.send([message(f"edge/{n}", bytes(20_000))]) for n in range(60)]
        await asyncio.wait_for(asyncio.gather(*futures), 10)
        heard = 0
        async with asyncio.timeout(10):
            async for _ in session.incoming():
                heard += 1
                if heard == 60:
                    break


async def test_tls_refuses_a_stranger(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """A server certificate of another authority, or for another name, is refused, and the error says what to check."""
    certs = make_certs(tmp_path, hosts=("other.example",), addresses=("127.0.0.1",))
    broker = start_mosquitto(tls=certs)
    with pytest.raises(TransientError, match=r"tls\.ca_file") as caught:
        async with opened(f"mqtts://127.0.0.1:{broker.port}", tls={"ca_file": str(certs.other_ca)}):
            pass
    assert caught.value.retry_after == 30
    with pytest.raises(TransientError, match=r"certificate of .* is refused.*'localhost'; .* tls\.server_name"):
        async with opened(f"mqtts://localhost:{broker.port}", tls={"ca_file": str(certs.ca)}):
            pass
    named = {"ca_file": str(certs.ca), "server_name": "other.example"}
    async with opened(f"mqtts://localhost:{broker.port}", tls=named) as session:
        await asyncio.wait_for(await session.send([message()]), 5)


async def test_tls_refuses_what_is_over(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """An expired server certificate is refused, and nobody is sent to look at the authority."""
    certs = make_certs(tmp_path, expired=True)
    broker = start_mosquitto(tls=certs)
    with pytest.raises(TransientError, match=r"certificate has expired; .* renew it"):
        async with opened(f"mqtts://127.0.0.1:{broker.port}", tls={"ca_file": str(certs.ca)}):
            pass


async def test_mutual_tls_reads_its_certificate_anew(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """Without the client certificate there is no session; with it there is, read at each connection."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs, listener="require_certificate true")
    url, own = (
        f"mqtts://localhost:{broker.port}",
        {"cert_file": str(tmp_path / "own.pem"), "key_file": str(certs.client_key)},
    )
    made = publisher(url, tls={"ca_file": str(certs.ca), **own})
    with pytest.raises(TransientError, match=r"own\.pem"):
        async with made.open(WILL, []):
            pass
    (tmp_path / "own.pem").write_bytes(certs.client_cert.read_bytes())
    async with made.open(WILL, []) as session:
        await asyncio.wait_for(await session.send([message()]), 5)
    with pytest.raises(TransientError, match=r"client certificate; give tls\.cert_file") as caught:
        async with opened(url, tls={"ca_file": str(certs.ca)}):
            pass
    assert not isinstance(caught.value, ConnectionLost)  # with TLS 1.3 it comes behind CONNECT: no silent close
    assert caught.value.retry_after == 30


@pytest.mark.parametrize(
    ("stranger", "words"), [(True, "does not know the authority"), (False, "has expired, or its time has not begun")]
)
async def test_alerts_of_the_broker_are_told_in_words(
    start_mosquitto: StartMosquitto, tmp_path: Path, stranger: bool, words: str
) -> None:
    """A client certificate that is over, or of an authority the broker does not know: what to do is in the reason."""
    certs = make_certs(tmp_path / "own", client_expired=True)
    client = make_certs(tmp_path / "strange") if stranger else certs
    broker = start_mosquitto(tls=certs, listener="require_certificate true")
    tls = {"ca_file": str(certs.ca), "cert_file": str(client.client_cert), "key_file": str(client.client_key)}
    with pytest.raises(TransientError, match=words):
        async with opened(f"mqtts://localhost:{broker.port}", tls=tls):
            pass
    if not stranger:  # its end shows in the metrics all the same
        assert PUBLISHER_CERT_EXPIRY.labels("plant", "own").value < time.time()


async def test_certificates_have_their_end_in_the_metrics(start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    """The broker's and our own; 30 days from now they are over."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs)
    own = {"cert_file": str(certs.client_cert), "key_file": str(certs.client_key)}
    async with opened(f"mqtts://localhost:{broker.port}", tls={"ca_file": str(certs.ca), **own}):
        for which in ("own", "server"):
            end = PUBLISHER_CERT_EXPIRY.labels("plant", which).value
            assert 29 < (end - time.time()) / 86_400 < 31


async def test_a_protocol_is_offered_by_alpn(tmp_path: Path) -> None:
    """AWS IoT Core on port 443 wants to hear which."""
    certs = make_certs(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    chosen: list[str | None] = []

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        for alpn in ([], ["h2", "x-amzn-mqtt-ca"]):
            with pytest.raises(ConnectionLost):
                async with opened(f"mqtts://localhost:{port}", tls={"ca_file": str(certs.ca), "alpn": alpn}):
                    pass
    assert chosen == [None, "x-amzn-mqtt-ca"]


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("mqtt", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", r"HTTP/1\.1 400 Bad Request.*ws://"),
        ("mqtt", b"\x15\x03\x03\x00\x02\x02\x32", "write mqtts://"),
        ("mqtt", b"SSH-2.0-OpenSSH_9.6\r\n", r"another service answered \(SSH-2\.0"),
        ("mqtts", b"\x20\x02\x00\x00" * 20, "does not speak TLS"),
        ("mqtt", b"AMQP\x00\x00\x09\x01", "answered in AMQP: check the port"),
        ("mqtts", b"", "does it speak TLS on this port"),
        ("mqtts", None, "does it speak TLS on this port"),
    ],
)
async def test_what_is_no_broker_is_told_as_what_it_is(scheme: str, answer: bytes | None, words: str) -> None:
    """A web server, TLS where none was expected, none where it was: what to write instead."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        if answer is None:  # a reset, as mosquitto's listener without TLS gives one
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransientError, match=words):
            async with opened(f"{scheme}://localhost:{port}"):
                pass


# --- brokers that are not there ---------------------------------------------------------------------------------------


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
async def test_a_black_hole_is_bounded_and_leaks_nothing(black_hole: int, scheme: str) -> None:
    """A broker that never answers costs connect_timeout, in CONNACK as in the TLS handshake, and no socket."""
    before = open_sockets()
    for _ in range(3):
        with pytest.raises(ConnectionLost, match="answer"):
            async with opened(f"{scheme}://127.0.0.1:{black_hole}", connect_timeout="100ms"):
                pass
    await eventually(lambda: not open_sockets() - before)


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
async def test_cancelled_while_connecting(black_hole: int, scheme: str) -> None:
    """Cancelled while it connects, an opening ends at once and leaves no socket."""
    before = open_sockets()

    async def never_opens() -> None:
        async with opened(f"{scheme}://127.0.0.1:{black_hole}", connect_timeout="60s"):
            pytest.fail("opened")

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(never_opens())
        await eventually(lambda: open_sockets() - before)
        task.cancel()
    assert task.cancelled()
    await eventually(lambda: not open_sockets() - before)


async def test_nobody_listens() -> None:
    """A refused connection, and a name that does not exist, are lost connections that say so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionLost, match="refused"):
        async with opened(f"mqtt://127.0.0.1:{port}"):
            pass
    with pytest.raises(ConnectionLost, match="cannot resolve"):
        async with opened("mqtt://no-such-host.invalid:1883"):
            pass


async def test_the_loop_runs_while_a_handshake_hangs(black_hole: int) -> None:
    """A frozen TLS broker does not hold up the event loop."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        with pytest.raises(ConnectionLost):
            async with opened(f"mqtts://127.0.0.1:{black_hole}", connect_timeout="100ms"):
                pass
        counting.cancel()
    assert turns > 100


def test_uvloop_drives_it_too(mosquitto: Mosquitto, black_hole: int) -> None:
    """On uvloop, which refuses closed file descriptors, sessions open, publish, break and end as on asyncio."""
    uvloop = pytest.importorskip("uvloop")
    complaints: list[object] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        made = publisher(mosquitto.url)
        for _ in range(2):
            async with made.open(WILL, ["edge/#"]) as session:
                futures = [await session.send([message(payload=bytes(50_000))]) for _ in range(50)]
                await asyncio.wait_for(asyncio.gather(*futures), 30)
        with pytest.raises(ConnectionLost):
            async with opened(f"mqtts://127.0.0.1:{black_hole}", connect_timeout="100ms"):
                pass
        async with made.open(WILL, []) as session:
            mosquitto.kill()
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(session.closed(), 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    assert not complaints
