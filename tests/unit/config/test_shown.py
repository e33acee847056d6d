"""What is shown of a configuration: the effective values, and no secret."""

from __future__ import annotations

import json

import pytest

from agent.config.shown import Shown, effective
from agent.core.text import without_credentials
from tests.unit.config.test_loader import loaded

MAIN = """
agent: {id: gw, location: [plant]}
outbox: {max_bytes: "${BYTES}"}
x-mine: {secret: "${PASSWORD}"}
include: [more.yaml]
publishers:
  plant:
    type: mqtt
    url: "mqtt://${BROKER}:1883"
    username: gw
    password: ${PASSWORD}
    window: "${WINDOW}"
    other_urls: ["mqtt://${BROKER}", "wss://192.0.2.9/mqtt?token=geheim"]
"""
MORE = """
devices:
  press:
    type: modbus
    url: serial:///dev/ttyUSB0?baudrate=9600
    tags_file: t.csv
    tags: {a: {address: "holding:0", null_values: ["${NULL}"], description: "see https://u:p@wiki/x"}}
"""
TABLE = "tag,address,unit,scale\nb,holding:1,${UNIT},2\n"
ENVIRON = {
    "BYTES": "3MiB",
    "PASSWORD": "hunter2",
    "BROKER": "192.0.2.77",
    "WINDOW": "7351",
    "NULL": "9999",
    "UNIT": "kelvins",
}


def test_the_effective_configuration(tmp_path):
    """Everything in force with its defaults, as it would be written; what came out of the environment by its name."""
    found = loaded(tmp_path, {"agent.yaml": MAIN, "more.yaml": MORE, "t.csv": TABLE}, ENVIRON)
    data = effective(found)
    plant, press = data["publishers"]["plant"], data["devices"]["press"]
    assert (plant["password"], plant["window"], plant["url"]) == ("${PASSWORD}", "${WINDOW}", "mqtt://${BROKER}:1883")
    assert plant["other_urls"] == ["mqtt://${BROKER}", "wss://192.0.2.9/mqtt?…"]
    assert plant["outbox"]["max_bytes"] == "${BYTES}"
    assert (plant["keep_alive"], plant["max_message_bytes"], plant["encoder"]["type"]) == ("30s", "96KiB", "json")
    assert (press["url"], press["location"]) == ("serial:///dev/ttyUSB0?baudrate=9600", ["plant"])
    assert press["tags"]["a"]["null_values"] == ["${NULL}"]
    assert press["tags"]["a"]["description"] == "see https://…@wiki/x"
    assert (press["tags"]["b"]["unit"], press["tags"]["b"]["scale"]) == ("${UNIT}", 2)
    shown = Shown(found)
    assert shown.at(("publishers", "plant", "window")) == "${WINDOW}"
    assert shown.at(("agent", "location")) == ["plant"]
    assert shown.at(("publishers", "plant", "tls", "ca_file")) is shown.at(("devices", "none", "url")) is None
    text = json.dumps(data)
    assert not [secret for secret in (*ENVIRON.values(), "geheim", "tags_file", "x-mine", "u:p") if secret in text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mqtt://192.0.2.1:1883", "mqtt://192.0.2.1:1883"),
        ("opc.tcp://u:p@h:4840/path", "opc.tcp://…@h:4840/path"),
        ("http://u:p@ss/w?rd@h/x", "http://…@h/x"),
        ("wss://h/mqtt?a=b&c=d", "wss://h/mqtt?…"),
        ("from a://u@h to b://h?x and back", "from a://…@h to b://h?… and back"),
        ('{"a":"x://h?y","b":"c@d"}', '{"a":"x://h?…","b":"c@d"}'),
        ("serial:///dev/ttyS0?parity=E", "serial:///dev/ttyS0?parity=E"),
        ("no url? at@all", "no url? at@all"),
    ],
)
def test_user_and_query_of_a_url(text, shown):
    """Whatever a password is made of, nothing of it is shown."""
    assert without_credentials(text) == shown
