"""What may stand under a publisher of type mqtt, and what is refused with a hint."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from agent.core.flow import Limits, Message
from agent.publishers.mqtt.config import MqttConfig
from agent.publishers.mqtt.packet import prepare
from agent.publishers.mqtt.urls import split_proxy, split_url, websocket_path
from agent.publishers.mqtt.wire import pack_properties, varint
from agent.settings.values import FromEnvironment


def made(**keys: object) -> MqttConfig:
    return MqttConfig.model_validate({"type": "mqtt", "url": "mqtt://broker", **keys})


def test_defaults() -> None:
    """The smallest configuration is a broker's URL."""
    config = made()
    assert (config.version, config.keep_alive, config.connect_timeout, config.window) == ("auto", 30.0, 10.0, 20)
    assert config.client_id is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", ("mqtt", "broker", 1883)),
        ("mqtts://broker.plant.local", ("mqtts", "broker.plant.local", 8883)),
        ("mqtt://[::1]:18830", ("mqtt", "::1", 18830)),
        ("mqtts://10.0.0.1:443/", ("mqtts", "10.0.0.1", 443)),
        ("ws://broker", ("ws", "broker", 80)),
        ("wss://broker/mqtt?tenant=1", ("wss", "broker", 443)),
    ],
)
def test_urls(url: str, expected: tuple[str, str, int]) -> None:
    """Scheme, host and port, with the usual port where none is given."""
    assert split_url(url) == expected


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ({"url": "http://broker"}, "write ws://"),
        ({"url": "wss://broker#part"}, "nothing may follow"),
        ({"url": "ws://broker", "tls": {"ca_file": "ca.pem"}}, "write mqtts:// or wss://"),
        ({"proxy": "socks4://proxy"}, "socks5://host:1080"),
        ({"proxy": "http://u:p@proxy"}, "proxy_username: and proxy_password_file:"),
        ({"proxy": "http://proxy:99999"}, "not the URL of a proxy"),
        ({"proxy_username": "u"}, "write proxy:"),
        ({"proxy": "http://proxy", "proxy_password_file": "f"}, "write proxy_username:"),
        ({"on_no_subscriber": "drop"}, "'accept' or 'hold'"),
        ({"url": "tcp://broker"}, "write mqtt://"),
        ({"url": "ssl://broker"}, "write mqtts://"),
        ({"url": "broker:1883"}, "mqtt://host:1883"),
        ({"url": "mqtt://"}, "names no host"),
        ({"url": "mqtt://u:p@broker"}, "write username: and password_file:"),
        ({"url": "mqtt://broker:99999"}, "not the URL of a broker"),
        ({"url": "mqtt://broker/path"}, "nothing may follow"),
        ({"tls": {"ca_file": "ca.pem"}}, "write mqtts://"),
        ({"username": "u", "password": "literal"}, "literal secret"),
        ({"username": "u", "password": FromEnvironment("x"), "password_file": "f"}, "exclude each other"),
        ({"password_file": "f"}, "write username:"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"keep_alive": "500ms"}, "greater than or equal to 1"),
        ({"keep_alive": 30}, "not a duration"),
        ({"topic": "{root}/{location}"}, "put {device} into it"),
        (
            {"topic": "{root}/{plant}/{device}"},
            "{plant} is not known in a topic; known are {root}, {agent}, {location}, {enterprise}",
        ),
        ({"topic": "{root}/{device.name}"}, "{device.name} is not known"),
        ({"topic": "{root}/{device!r:>9}"}, "{device!r:>9} is not known"),
        ({"topic": "{root}//{device}"}, "an empty level"),
        ({"topic": "{root/{device}"}, "is not a template"),
        ({"topic": "{root}/#/{device}"}, "must not"),
        ({"root": "$SYS"}, "must not"),
        ({"root": "a/"}, "must not"),
        ({"version": "4"}, "'auto', '5' or '3.1.1'"),
        ({"url": "mqtts://b", "tls": {"cert_file": "c"}}, "belong together"),
    ],
)
def test_mistakes_are_refused_with_a_hint(keys: dict[str, object], hint: str) -> None:
    """Each mistake says what to write instead."""
    with pytest.raises(ValidationError) as caught:
        made(**keys)
    assert hint in str(caught.value)


def test_paths_and_proxies() -> None:
    """/mqtt is the usual path of MQTT over WebSocket; proxies have their usual ports."""
    assert [websocket_path(url) for url in ("ws://b", "wss://b/", "ws://b/a/b?c=1", "mqtts://b")] == [
        "/mqtt", "/mqtt", "/a/b?c=1", None,
    ]  # fmt: skip
    assert split_proxy("http://proxy") == ("http", "proxy", 3128)
    assert split_proxy("socks5h://proxy:1081") == ("socks5", "proxy", 1081)


def test_the_configuration_does_not_import_the_library() -> None:
    """Reading a configuration costs no MQTT library."""
    code = "import sys, agent.publishers.mqtt.config; sys.exit('paho' in ' '.join(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("number", "expected"), [(0, "00"), (127, "7f"), (128, "8001"), (268_435_455, "ffffff7f")])
def test_variable_byte_integers(number: int, expected: str) -> None:
    """The examples of MQTT 5, table 1-1."""
    assert varint(number).hex() == expected


def test_property_block() -> None:
    """Expiry, content type and user properties, their length in front; nothing is a single zero."""
    assert pack_properties(Message(topic="t", payload=b"")) == b"\0"
    message = Message(topic="t", payload=b"12345", expiry=1, content_type="a/b", properties=[("k", "v")])
    block = pack_properties(message)
    assert block.hex(" ") == "12 02 00 00 00 01 03 00 03 61 2f 62 26 00 01 6b 00 01 76"
    assert prepare(message, Limits(protocol="5", window=1)).size == 2 + 2 + 1 + 2 + len(block) + 5
