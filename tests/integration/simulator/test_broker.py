from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.core.errors import PermanentError
from agent.simulator.broker import MAX_PAYLOAD, EmbeddedBroker
from tests.support.ports import accepts
from tests.support.waiting import eventually_sync

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


@pytest.fixture
def broker():
    with EmbeddedBroker() as running:
        yield running


class Peer:
    """A paho client with its thread, and what it received."""

    def __init__(self, client: mqtt.Client) -> None:
        self.client = client
        self.received: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.connected = threading.Event()
        self.gone = threading.Event()
        self.subscribed = threading.Event()
        client.on_message = lambda _client, _data, message: self.received.put(message)
        client.on_connect = lambda *_args: self.connected.set()
        client.on_disconnect = lambda *_args: self.gone.set()
        client.on_subscribe = lambda *_args: self.subscribed.set()

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        assert self.subscribed.wait(30)

    def next(self) -> mqtt.MQTTMessage:
        return self.received.get(timeout=30)


@contextmanager
def peer(broker, version, *, client_id="", will=False):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
    if will:
        client.will_set("edge/agents/a/status", b"gone", qos=1, retain=True)
    client.max_inflight_messages_set(500)
    made = Peer(client)
    client.connect("127.0.0.1", broker.port if version == V5 else broker.port_311)
    client.loop_start()
    try:
        assert made.connected.wait(30)
        yield made
    finally:
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()  # the pair that wakes its thread


@pytest.mark.parametrize("version", [V5, V311])
def test_both_versions_carry_readings_retained_status_and_will(broker, version):
    """QoS 1 through a wildcard, retained for who comes later, an empty payload clears, the will after a broken line."""
    with peer(broker, version) as subscriber:
        subscriber.subscribe("edge/#")
        with peer(broker, version, client_id="agent", will=True) as agent:
            agent.client.publish("edge/x/readings", b"{}", qos=1).wait_for_publish(5)
            assert subscriber.next().payload == b"{}"
            agent.client.publish("edge/agents/a/status", b"on", qos=1, retain=True).wait_for_publish(5)
            assert subscriber.next().retain is False
            with peer(broker, version) as later:
                later.subscribe("edge/#")
                message = later.next()
                assert (message.payload, message.retain, message.qos) == (b"on", True, 1)
            agent.client.reconnect_delay_set(60, 60)
            sock = agent.client.socket()
            assert sock is not None
            sock.shutdown(socket.SHUT_RDWR)
            assert subscriber.next().payload == b"gone"
            agent.client.loop_stop()
        with peer(broker, version) as cleaner:
            cleaner.client.publish("edge/agents/a/status", b"", qos=1, retain=True).wait_for_publish(5)
            assert subscriber.next().payload == b""


def test_user_properties_pass(broker):
    """MQTT 5 carries content type and user properties to the subscriber."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    with peer(broker, V5) as subscriber:
        subscriber.subscribe("edge/#")
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        properties.UserProperty = [("epoch", "E"), ("seq", "7")]
        subscriber.client.publish("edge/x", b"1", qos=1, properties=properties)
        got = subscriber.next().properties
        assert got is not None
        assert got.json()["UserProperty"] == [("epoch", "E"), ("seq", "7")]


def test_limits_are_as_the_module_says(broker):
    """A packet under the limit passes, one over it closes the connection; many in flight are all acknowledged."""
    with peer(broker, V5) as one:
        one.subscribe("edge/#")
        one.client.publish("edge/x", b"x" * (MAX_PAYLOAD - 100), qos=1)
        assert len(one.next().payload) == MAX_PAYLOAD - 100
        sent = [one.client.publish("edge/x", b"%d" % number, qos=1) for number in range(500)]
        for info in sent:
            info.wait_for_publish(10)
        assert [int(one.next().payload) for _ in sent] == list(range(500))
        one.client.reconnect_delay_set(60, 60)
        one.client.publish("edge/x", b"x" * (MAX_PAYLOAD + 100), qos=1)
        assert one.gone.wait(30)
        one.client.loop_stop()


def test_only_loopback_listens(broker):
    """The broker's process listens on two ports of 127.0.0.1 and nowhere else, so on no console or metrics port."""
    assert broker.pid is not None
    listening = {c.laddr for c in psutil.Process(broker.pid).net_connections("inet") if c.status == "LISTEN"}
    assert {(a.ip, a.port) for a in listening} == {("127.0.0.1", broker.port), ("127.0.0.1", broker.port_311)}


def test_usual_port_taken_means_another_and_stop_frees_both():
    """Two brokers live side by side; a stopped one leaves nothing behind."""
    with EmbeddedBroker() as first, EmbeddedBroker() as second:
        assert len({first.port, first.port_311, second.port, second.port_311}) == 4
        pid = second.pid
        second.stop()
        assert not accepts(second.port)
        assert pid is not None
        assert not psutil.pid_exists(pid)
        second.start()
        assert accepts(second.port)


def test_missing_wheel_names_the_extra(monkeypatch):
    """Without iotcore the error says what to install."""
    monkeypatch.setitem(sys.modules, "iotcore", None)
    with pytest.raises(PermanentError, match=r"pip install iotcore"):
        EmbeddedBroker().start()


def test_broker_ends_with_its_parent():
    """A parent that is killed leaves no broker behind."""
    code = (
        "from agent.simulator.broker import EmbeddedBroker as B; import sys;"
        "b = B(); b.start(); print('pid', b.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        words = next(line for line in parent.stdout if line.startswith(b"pid"))
        pid = int(words.split()[-1])
        parent.kill()
    eventually_sync(lambda: not psutil.pid_exists(pid))
