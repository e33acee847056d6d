"""Encoders against the devices they carry: mistakes with file and line when the configuration is read, and warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.loader import load
from agent.config.summary import warnings
from agent.core.errors import ConfigError
from agent.core.ports import RouteInfo
from agent.encoders.common.naming import safe_level
from agent.settings.topics import ISA_95, Template, topic_template

HEAD = """\
agent: {{id: gw, location: [{location}]}}
publishers:
  plant:
    type: mqtt
    url: mqtt://192.0.2.1
    version: "{version}"
    encoder:
{encoder}
devices:
"""
DEVICE = """\
  {name}:
    type: modbus
    url: tcp://192.0.2.2
    unit_id: {unit}
    tags:
{tags}
"""


def written(
    tmp_path: Path, encoder: str, devices: dict[str, list[str]] | None = None, *, location: str = "acme, suzhou",
    version: str = "5",
) -> Path:  # fmt: skip
    lines = "\n".join(f"      {line}" for line in encoder.split("\n"))
    text = HEAD.format(location=location, version=version, encoder=lines)
    for unit, (name, tags) in enumerate((devices or {"press": ["oil", "water"]}).items(), 1):
        rows = "\n".join(f'      "{tag}": {{address: "holding:{at}"}}' for at, tag in enumerate(tags))
        text += DEVICE.format(name=name, unit=unit, tags=rows)
    path = tmp_path / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [str(mistake).removeprefix(f"{path}:") for mistake in caught.value.mistakes]


ENCODERS = [
    "type: umh",
    "type: value",
    "type: influx",
    'type: template\nreading: {n: "{tag}", d: "{device}", q: "{quality}"}',
]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_defaults_are_right(tmp_path: Path, encoder: str) -> None:
    """With MQTT 5 and two levels of location nobody has anything to say."""
    assert warnings(load(written(tmp_path, encoder), {}).config) == []


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("version", ["auto", "3.1.1"])
def test_what_cannot_be_audited_is_said(tmp_path: Path, encoder: str, version: str) -> None:
    """Without user properties nobody can tell which messages are missing: `check` warns."""
    [warning] = warnings(load(written(tmp_path, encoder, version=version), {}).config)
    assert "3.1.1 nobody can audit" in warning


@pytest.mark.parametrize(
    ("encoder", "tags", "line", "words"),
    [
        ("type: umh", ["温度", "压力"], 7, "would share the topic umh/v1/acme/suzhou/press/_raw/__"),
        ("type: umh", ["a.b", "a/b"], 7, "_raw/a/b"),
        ("type: umh", ["."], 7, "empty level|names:"),
        ("type: value", ["oil (1)", "oil [1]"], 7, "edge/acme/suzhou/press/oil__1_/value"),
        ('type: template\ntopic: "x/{device}/{tag}"\nreading: "{value}"', ["a b", "a_b"], 9, "x/press/a_b"),
        ("type: umh\nnames: {oil: water}", ["oil", "water"], 7, "_raw/water"),
        ('type: umh\ntopic: "umh/v1/{area}/_raw/{tag}"', ["oil"], 9, "{area} is level 3 of a location"),
        ('type: influx\ntopic: "{cell}/lines"', ["oil"], 9, "{cell} is level 5"),
        ("type: influx", ["time"], 7, "no field named 'time'"),
        ("type: influx", ["_field"], 7, "no field named '_field'"),
        ("type: influx", ["oil", "oil.code"], 7, "oil.code"),
        ("type: influx\nnames: {oil: water}", ["oil", "water"], 9, "field water"),
        ('type: template\nreading: {v: "{value}"}', ["oil"], 9, "names the tag"),
        ('type: template\nreading:\n  a: 1\n  v: "{valu}"', ["oil"], 11, "{valu} is not known here"),
        ('type: template\nreading: "{tag}"\nmessage:\n  - "{readings} x"', ["oil"], 11, "alone"),
        ('type: template\nreading: {"{tag}": "{value}", q: "{quality}"}', ["q"], 9, "the key 'q' would stand"),
        ('type: template\nreading: {1: "{tag}", "1": "{quality}"}', ["oil"], 9, "the key '1' would stand there twice"),
        (
            'type: template\nreading: "{tag}"\nmessage: {a: [{press: 1, "{device}": "{readings}"}]}', ["oil"], 10,
            "the key 'press' would stand there twice",
        ),
        ("type: value\ntopic: x/{device}", ["oil"], 9, "put {tag} into it"),
        ('type: value\ntopic: "{root}/{device}/{tag}"', ["oil"], 9, "put a level behind {tag}"),
        ("type: umh\ntopic: umh/v1/{location}/raw/{tag}", ["oil"], 9, "no topic of UMH"),
        ("type: umh\ntopic: umh/v1/{location}/_raw/x", ["oil"], 9, "put {tag} into it"),
        ("type: umh\nnames: {oil: a b}", ["oil"], 9, "no level of a topic"),
        ("type: influx\nmeasurement: '{tag}'", ["oil"], 9, "{tag} is not known in a measurement"),
        ("type: influx\nmeasurement: '#x'", ["oil"], 9, "no measurement"),
        ("type: influx\ntags: {time: x}", ["oil"], 9, "cannot be a tag"),
        ("type: influx\ntags: {a: '{tag}'}", ["oil"], 9, "not known in a tag"),
        ("type: influx\ntopic: $SYS/{device}", ["oil"], 9, "no topic"),
        ("type: influx\nprecision: h", ["oil"], 9, "precision"),
        ("type: influx\nmeasurement: '{line}'", ["oil"], 9, "{line} is level 4 of a location, that of press"),
        ("type: influx\nnames: {oil: ''}", ["oil"], 9, "has no name"),
        ("type: influx", ["quality"], 7, "quality is a tag of the line already"),
        ("type: influx\ntags: {a b: x}", ["a b"], 7, "a tag of the line already"),
        ('type: value\nhistory_topic: "{root}/{location}/{device}/{tag}/value"', ["oil"], 9, "pass for news"),
        ("type: value\ntopic: edge/{location}/{device}/{tag}", ["status"], 9, "says the status of press"),
        ("type: value\nhistory_topic: edge/{location}/{device}/{tag}", ["gaps"], 9, "says the losses of press"),
        ('type: influx\ntopic: "{root}/{location}/{device}/tags"', ["oil"], 9, "says the catalogue of press"),
        ('type: influx\ntopic: "{root}/{location}/{device}/tags/12"', ["oil"], 9, "says the catalogue of press"),
        ('type: template\ntopic: "{root}/agents/{agent}/status"\nreading: "{tag}"', ["oil"], 9, "says its own status"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, encoder: str, tags: list[str], line: int, words: str) -> None:
    """Said before anything runs, with the line, and what to write instead."""
    found = mistakes(written(tmp_path, encoder, {"press": tags}))
    assert any(one.startswith(f"{line}:") and any(word in one for word in words.split("|")) for one in found), found


def test_devices_may_share_a_topic_only_if_it_can_be_told(tmp_path: Path) -> None:
    """Tags of two devices on one topic per tag are a mistake; lines and records of two devices may meet."""
    devices = {"press": ["oil"], "cnc": ["oil"]}
    [found] = mistakes(written(tmp_path, "type: umh\ntopic: umh/v1/{location}/_raw/{tag}", devices))
    assert "press, tag 'oil', and cnc, tag 'oil'" in found
    assert warnings(load(written(tmp_path, "type: influx\ntopic: lines", devices), {}).config) == []
    shape = 'type: template\ntopic: all\nreading: {n: "{tag}", q: "{good}"}'
    [warning] = warnings(load(written(tmp_path, shape, devices), {}).config)
    assert "nobody can tell them apart" in warning


def test_measurements_that_influxdb_keeps(tmp_path: Path) -> None:
    """A measurement that begins with an underscore is InfluxDB's own: the agent's own device would be one."""

    def with_itself(encoder: str) -> Path:
        path = written(tmp_path, encoder)
        path.write_text(path.read_text(encoding="utf-8").replace("{id: gw,", "{id: gw, self: true,"), encoding="utf-8")
        return path

    [found] = mistakes(with_itself("type: influx"))
    assert "begin with _, as _agent" in found
    load(with_itself("type: influx\nmeasurement: plc-{device}"), {})


def test_a_level_that_nothing_remains_of(tmp_path: Path) -> None:
    """UMH takes no underscore in front of a level; one that is nothing else leaves an empty level."""
    [found] = mistakes(written(tmp_path, "type: umh", {"press": ["oil"]}, location="acme, __"))
    assert "'umh/v1/acme//press/_raw/oil'" in found


def test_many_collisions_are_told_a_few_times(tmp_path: Path) -> None:
    """Ten thousand Chinese names do not make ten thousand lines."""
    tags = [f"{chr(0x4E00 + n)}" for n in range(200)]
    assert len(mistakes(written(tmp_path, "type: umh", {"press": tags}))) == 10


def test_odd_but_possible(tmp_path: Path) -> None:
    """Too many levels for AWS, and a shape that hides the quality, are warnings."""
    deep = written(tmp_path, "type: umh", location="a, b, c, d")
    assert any("AWS IoT Core takes at most 7" in one for one in warnings(load(deep, {}).config))
    blind = written(tmp_path, 'type: template\nreading: {t: "{tag}", v: "{value}", d: "{device}"}')
    assert any("says nothing of the quality" in one for one in warnings(load(blind, {}).config))


def test_a_topic_too_long_for_mqtt(tmp_path: Path) -> None:
    """65,535 bytes is what MQTT takes."""
    [found] = mistakes(written(tmp_path, f"type: umh\ntopic: umh/v1/{'x' * 65530}/_raw/{{tag}}", {"press": ["oil"]}))
    assert "65535" in found


def test_two_routes_that_would_talk_over_each_other(tmp_path: Path) -> None:
    """Two routes of one agent at one broker need a `root:` each: their status topics are one otherwise. A mistake."""
    path = written(tmp_path, "type: umh")
    more = '  value:\n    type: mqtt\n    url: mqtt://192.0.2.1\n    version: "5"\n    encoder: {type: value}\n'
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("devices:", more + "devices:"), encoding="utf-8")
    [found] = mistakes(path)
    assert found.startswith("10:"), found
    assert "publishes its status on edge/agents/gw/status, as `publishers.plant` does" in found
    assert "another `root:`" in found
    for elsewhere in ("    root: values\n", "    url: mqtt://192.0.2.8\n"):
        told = more if "root" in elsewhere else more.replace("    url: mqtt://192.0.2.1\n", "")
        path.write_text(text.replace("devices:", told + elsewhere + "devices:"), encoding="utf-8")
        assert warnings(load(path, {}).config) == []


def test_readings_of_two_routes_never_share_a_topic(tmp_path: Path) -> None:
    """Whatever their roots: nobody could tell whose reading stands there."""
    path = written(tmp_path, "type: umh")
    more = "  more:\n    type: mqtt\n    url: mqtt://192.0.2.1\n    root: more\n    encoder: {type: umh}\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("devices:", more + "devices:"), encoding="utf-8")
    [found] = mistakes(path)
    assert found.startswith("13:"), found
    assert "publishes readings of press on umh/v1/acme/suzhou/press/_raw/oil, as `publishers.plant` does" in found


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("{root}/{line}/{device}", "{line} is level 4 of a location, that of press is acme/suzhou"),
        ("{site}/" + "x" * 65530 + "/{device}", "MQTT takes 65535"),
        ("{root}/{tag}/{device}", "{tag} is not known"),
    ],
)
def test_mistakes_in_the_prefix_of_a_route(tmp_path: Path, topic: str, words: str) -> None:
    """`topic:` of a publisher is held against its devices like the topics of an encoder, with its own line."""
    path = written(tmp_path, f"type: json\n{'#' * 3}")
    text = path.read_text(encoding="utf-8").replace("      ###", f'    topic: "{topic}"')
    path.write_text(text, encoding="utf-8")
    [found] = mistakes(path)
    assert found.startswith("9: `publishers.plant.topic`: "), found
    assert words in found


def test_rules_of_aws(tmp_path: Path) -> None:
    """Readings may go straight to a rule; its levels do not count as depth, and nothing is retained there."""
    path = written(tmp_path, "type: json\n###", location="a, b, c, d")
    text = path.read_text(encoding="utf-8").replace("      ###", '    topic: "$aws/rules/readings/{location}/{device}"')
    path.write_text(text, encoding="utf-8")
    [warning] = warnings(load(path, {}).config)
    assert "set `status: false` and `catalogue: false`" in warning
    quiet = text.replace("    encoder:", "    status: false\n    catalogue: false\n    encoder:")
    path.write_text(quiet, encoding="utf-8")
    assert warnings(load(path, {}).config) == []
    for wrong in ("$aws/things/x/{device}", "$SYS/{device}", "$aws/rules/a b/{device}"):
        path.write_text(text.replace("$aws/rules/readings/{location}/{device}", wrong), encoding="utf-8")
        assert "it must not be empty, begin with $" in mistakes(path)[0]


def test_a_device_does_not_speak_for_the_agent(tmp_path: Path) -> None:
    """Under its own name it may stand beside the agent, not in its place."""
    path = written(tmp_path, "type: json\n###", {"gw": ["oil"], "press": ["oil"]})
    text = path.read_text(encoding="utf-8").replace("      ###", '    topic: "{root}/agents/{device}"')
    path.write_text(text, encoding="utf-8")
    [found] = mistakes(path)
    assert "the status of a device would stand on edge/agents/gw/status" in found


def test_a_prefix_with_many_levels_is_odd(tmp_path: Path) -> None:
    """With `/tags/1` behind it seven slashes are soon passed; Sparkplug has no use for `topic:` and says nothing."""
    assert warnings(load(written(tmp_path, "type: json", location="a, b, c, d"), {}).config) == []
    deep = "a, b, c, d, e"
    [warning] = warnings(load(written(tmp_path, "type: json", location=deep), {}).config)
    assert warning.startswith("publishers.plant.topic: edge/a/b/c/d/e/press/tags/1 has 8 slashes")
    path = written(tmp_path, "type: json", location=deep)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    encoder:", "    catalogue: false\n    encoder:"), encoding="utf-8")
    assert warnings(load(path, {}).config) == []
    assert warnings(load(written(tmp_path, "type: sparkplug_b\ngroup: plant", location=deep), {}).config) == []


def test_filters_take_every_topic(tmp_path: Path) -> None:
    """What a consumer subscribes to for a configuration: what may be several levels ends the filter."""
    filters = {
        "type: umh": ["umh/v1/#"],
        "type: value": ["edge/#", "edge/#"],
        "type: influx": ["edge/#"],
        "type: influx\ntopic: '{enterprise}/{device}/lines'": ["+/+/lines"],
        'type: template\ntopic: all/{agent}/x-{device}\nreading: {n: "{tag}", q: "{good}"}': ["all/gw/+"],
    }
    for encoder, expected in filters.items():
        publisher = load(written(tmp_path, encoder), {}).config.publishers["plant"]
        assert publisher.encoder is not None
        assert publisher.encoder.filters(RouteInfo(name="plant", agent="gw")) == expected


SCADA = "type: sparkplug_b\ngroup: plant"


def test_an_edge_node_there_is_once(tmp_path: Path) -> None:
    """Two routes under one group and node would say each other dead: a mistake, with the line of the second."""
    path = written(tmp_path, SCADA)
    more = "  more:\n    type: mqtt\n    url: mqtt://192.0.2.9\n    encoder: {type: sparkplug_b, group: plant%s}\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("devices:", more % "" + "devices:"), encoding="utf-8")
    [found] = mistakes(path)
    assert found.startswith("13:")
    assert "the edge node plant/gw is that of publishers.plant, too" in found
    path.write_text(text.replace("devices:", more % ", edge_node: second" + "devices:"), encoding="utf-8")
    assert warnings(load(path, {}).config) == []


def test_what_sparkplug_hosts_may_confuse(tmp_path: Path) -> None:
    """Names that differ by case, a tag that is a folder, too, and keys that mean nothing here: warnings."""
    devices = {"press": ["Speed", "speed", "Oil", "Oil/deep/max"], "Press": ["a/b", "a/c"]}
    path = written(tmp_path, SCADA, devices)
    text = path.read_text(encoding="utf-8").replace("    encoder:", "    qos: 0\n    encoder:")
    path.write_text(text, encoding="utf-8")
    said = [one.removeprefix("publishers.plant.encoder: ") for one in warnings(load(path, {}).config)]
    assert said == [
        "`topic`, `root` and `qos` of the publisher mean nothing here: Sparkplug sets them",
        "devices 'press' and 'Press' differ only by case; a host may take them for one",
        "press, tags 'Speed' and 'speed' differ only by case; a host may take them for one",
        "press, tag 'Oil/deep/max': the part in front of a / is a folder to hosts, and here a tag as well",
    ]


def test_templates_have_no_expressions() -> None:
    """Names in braces and nothing else; doubled braces are braces."""
    values = {name: name for name in ("root", "location", "device", "tag", *ISA_95)}
    assert topic_template("{{a}}/{site}/{tag}").render(values) == "{a}/site/tag"
    for text in ("{tag.x}", "{tag[0]}", "{tag!r}", "{tag:>9}", "{}", "{0}", "{tag", "tag}"):
        with pytest.raises(ValueError, match=r"known|template"):
            Template(text, ("tag",))


@pytest.mark.parametrize("text", ["a+b", "a#b", "a/b", "a b", "温度", "a\0b", "$SYS", "ä"])
def test_levels_are_safe(text: str) -> None:
    """Nothing of what MQTT or a tool could trip over remains."""
    assert not set(safe_level(text)) & set("+#/$ \0")
    assert safe_level(text).isascii()
