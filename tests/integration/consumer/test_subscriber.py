from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.consumer.subscriber import Subscriber
from agent.consumer.target import access_of
from agent.core.errors import PermanentError, leaves
from agent.publishers.mqtt.access import Access
from agent.settings.tls import BrokerTLS
from agent.simulator.broker import EmbeddedBroker
from agent.simulator.proxy import Proxy
from tests.support.certs import make_certs
from tests.support.mqtt_broker import FakeBroker, Script
from tests.support.waiting import eventually
from tests.support.ways import gateway


@pytest.fixture(scope="module")
def embedded():
    with EmbeddedBroker() as broker:
        yield broker


class Heard:
    def __init__(self):
        self.messages: list[tuple[str, bytes, bool]] = []
        self.interruptions = 0

    def __call__(self, topic, payload, *, retained):
        self.messages.append((topic, payload, retained))

    def interrupted(self):
        self.interruptions += 1

    @property
    def payloads(self):
        return [payload for _, payload, _ in self.messages]


@asynccontextmanager
async def listening(url, **target):
    heard = Heard()
    subscriber = Subscriber(access_of(url, **target), ["edge/#"], heard, on_interrupted=heard.interrupted)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(subscriber.run())
        try:
            async with asyncio.timeout(10):
                await subscriber.subscribed.wait()
            yield subscriber, heard
        finally:
            running.cancel()


def publish(port, *payloads, version=MQTTProtocolVersion.MQTTv5, topic="edge/x/readings", retain=False):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for info in [client.publish(topic, payload, qos=1, retain=retain) for payload in payloads]:
        info.wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


async def test_hears_everything_in_order_with_the_retain_flag(embedded):
    """A thousand messages and a retained one before, as they were published."""
    await asyncio.to_thread(publish, embedded.port, b"kept", topic="edge/y/status", retain=True)
    async with listening(embedded.url) as (_, heard):
        sent = [b"%d" % number for number in range(1000)]
        await asyncio.to_thread(publish, embedded.port, *sent)
        await eventually(lambda: len(heard.messages) >= 1001)
    assert ("edge/y/status", b"kept", True) in heard.messages
    assert [payload for payload in heard.payloads if payload != b"kept"] == sent


async def test_speaks_3_1_1_where_the_broker_speaks_nothing_else(embedded):
    """A listener that hangs up on MQTT 5 is asked in 3.1.1."""
    async with listening(embedded.url_311) as (_, heard):
        await asyncio.to_thread(publish, embedded.port_311, b"1", version=MQTTProtocolVersion.MQTTv311)
        await eventually(lambda: heard.payloads == [b"1"] or b"1" in heard.payloads)


async def test_speaks_3_1_1_where_the_broker_says_so():
    """A broker that refuses MQTT 5 in its CONNACK, and then hangs up, is asked in 3.1.1, and stays so."""
    async with FakeBroker(Script(speaks=("3.1.1",))).serve() as broker, listening(broker.url) as (_, heard):
        assert [one.version for one in broker.connects] == ["5", "3.1.1"]
        broker.publish("edge/x/readings", b"1")
        await eventually(lambda: heard.payloads == [b"1"])


async def test_session_survives_a_broken_connection(mosquitto):
    """What is published while our own way is cut comes after it, and nothing counts as unheard."""
    async with (
        Proxy("127.0.0.1", mosquitto.port) as cable,
        listening(f"mqtt://127.0.0.1:{cable.port}") as (subscriber, heard),
    ):
        await cable.cut()
        await eventually(lambda: not subscriber.subscribed.is_set())
        await asyncio.to_thread(publish, mosquitto.port, b"1", b"2")
        await cable.restore()
        await eventually(lambda: heard.payloads == [b"1", b"2"])
        assert heard.interruptions == 0


async def test_forgotten_session_is_said(mosquitto):
    """A broker that restarted knows us no more: what it had is unheard, what comes is heard."""
    async with listening(mosquitto.url) as (subscriber, heard):
        mosquitto.kill()
        await eventually(lambda: not subscriber.subscribed.is_set())
        mosquitto.start()
        await eventually(subscriber.subscribed.is_set)
        assert heard.interruptions == 1
        await asyncio.to_thread(publish, mosquitto.port, b"later")
        await eventually(lambda: heard.payloads == [b"later"])


async def test_leaves_nothing_at_the_broker(mosquitto):
    """Our session ends with our own end."""
    async with listening(mosquitto.url):
        pass
    await eventually(lambda: "Received DISCONNECT from edge-consumer" in mosquitto.log)


async def test_tls_is_verified(start_mosquitto, tmp_path):
    """The right authority lets us in; a stranger's never does."""
    certs = make_certs(tmp_path)
    broker = start_mosquitto(tls=certs)
    async with listening(broker.url, tls=BrokerTLS(ca_file=certs.ca)) as (subscriber, _):
        assert subscriber.subscribed.is_set()
    stranger = Subscriber(access_of(broker.url, tls=BrokerTLS(ca_file=certs.other_ca)), ["#"], Heard())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stranger.run())
        reason = await eventually(lambda: stranger.reason)
        running.cancel()
    assert "the certificate of" in str(reason)
    assert "is refused" in str(reason)


async def test_refused_credentials_are_final(start_mosquitto):
    """A broker that knows nobody refuses; asking again would not help."""
    broker = start_mosquitto(anonymous=False)
    with pytest.raises(ExceptionGroup) as caught:
        async with listening(broker.url):
            pass
    assert any(isinstance(error, PermanentError) for error in leaves(caught.value))


@pytest.mark.parametrize("refusal", [{"connack": 0x87}, {"suback": 0x87}])
async def test_who_was_welcome_once_waits_until_it_is_again(refusal):
    """A broker that comes back before its users do ends no audit of days."""
    async with FakeBroker().serve() as broker, listening(broker.url) as (subscriber, heard):
        broker.script = Script(**refusal)
        broker.disconnect(0x8B)
        await eventually(lambda: "refuses" in str(subscriber.reason))
        broker.script = Script()
        await eventually(subscriber.subscribed.is_set)
        broker.publish("edge/x/readings", b"1")
        await eventually(lambda: heard.payloads == [b"1"])


async def test_hears_over_websocket(mosquitto):
    """With the path of its URL."""
    async with gateway(mosquitto.port) as way, listening(f"ws://127.0.0.1:{way.port}/plant") as (_, heard):
        sent = [b"x" * size for size in (1, 200, 70_000)]
        await asyncio.to_thread(publish, mosquitto.port, *sent)
        await eventually(lambda: heard.payloads == sent)
        assert way.seen == ["GET /plant HTTP/1.1 mqtt"]


async def test_error_of_the_listener_comes_out_of_run(embedded):
    """A bug in the callback is not swallowed by the library."""

    def explode(topic, payload, *, retained):
        raise RuntimeError(payload.decode())

    subscriber = Subscriber(access_of(embedded.url), ["edge/boom"], explode)

    async def story():
        async with asyncio.TaskGroup() as group:
            group.create_task(subscriber.run())
            await subscriber.subscribed.wait()
            await asyncio.to_thread(publish, embedded.port, b"boom", topic="edge/boom")

    with pytest.raises(ExceptionGroup) as caught:
        await story()
    assert [str(error) for error in leaves(caught.value)] == ["boom"]


@pytest.mark.parametrize("url", ["tcp://x:1", "mqtt://", "mqtt://x:notaport", "broker"])
def test_urls_that_are_none_say_what_to_write(url):
    """Each mistake is answered with an example."""
    with pytest.raises(PermanentError, match=r"write mqtt://"):
        access_of(url)


def test_url_defaults():
    """Ports follow the scheme; mqtts trusts the system."""
    [plain], [encrypted] = access_of("mqtt://h").servers, access_of("mqtts://h").servers
    assert (plain.port, encrypted.port) == (1883, 8883)
    assert (plain.tls is None, encrypted.tls is None) == (True, False)
    assert access_of("mqtts://u:p@h:1").credentials() == ("u", "p")


async def test_several_brokers_are_heard_at_once():
    """Who publishes uses the first that works: a consumer that stayed with another one would hear nothing."""
    async with FakeBroker().serve() as first, FakeBroker().serve() as second:
        both = Access(servers=(*access_of(first.url).servers, *access_of(second.url).servers))
        heard = Heard()
        subscriber = Subscriber(both, ["edge/#"], heard)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(subscriber.run())
            await eventually(lambda: first.subscribed and second.subscribed)
            for number, broker in enumerate((first, second)):
                broker.publish("edge/x/readings", b"%d" % number)
            await eventually(lambda: sorted(heard.payloads) == [b"0", b"1"])
            running.cancel()
