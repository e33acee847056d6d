"""A hundred and more ways to write a configuration wrongly.

`# <-` marks the line a mistake must be reported for; the word must occur in what is said about it. Where a comment
would change the meaning, the line is given as a number.
"""

from __future__ import annotations

from typing import NamedTuple


class Broken(NamedTuple):
    """One broken configuration."""

    text: str
    word: str
    line: int

    def __str__(self) -> str:
        return f"{self.line}-{self.word}"


def _case(text: str, word: str, line: int | None = None) -> Broken:
    found = line or next(number for number, one in enumerate(text.split("\n"), 1) if one.endswith("# <-"))
    return Broken(text.replace("# <-", ""), word, found)


def _device(body: str) -> str:
    """A Modbus device around one or more keys."""
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    return f'agent: {{id: gw}}\ndevices:\n  press:\n    type: modbus\n    url: "tcp://192.0.2.1:502"\n{lines}\n'


def _two(body: str) -> str:
    """Two Modbus devices at one place, the second with these keys."""
    first = '  a: {type: modbus, url: "serial:///dev/ttyS0"}\n'
    return f"agent: {{id: gw}}\ndevices:\n{first}  b: {{type: modbus, unit_id: 2, {body}}}  # <-\n"


def _tag(body: str) -> str:
    """A Modbus tag of these keys."""
    return _device(f"tags:\n  oil: {{{body}}}  # <-")


def _node(body: str) -> str:
    """An OPC UA tag of these keys."""
    head = 'agent: {id: gw}\ndevices:\n  cnc:\n    type: opcua\n    url: "opc.tcp://192.0.2.1"\n    tags:\n'
    return f"{head}      speed: {{{body}}}  # <-\n"


def _server(body: str) -> str:
    return f'agent: {{id: gw}}\ndevices:\n  cnc:\n    type: opcua\n    url: "opc.tcp://192.0.2.1"\n    {body}  # <-\n'


def _calls(body: str) -> str:
    """Two OPC UA devices whose servers call, the second with these keys."""
    first = "  a: {type: opcua, reverse: {server_uri: urn:first}}\n"
    return f"agent: {{id: gw}}\ndevices:\n{first}  b:\n    type: opcua\n    {body}  # <-\n"


def _publisher(body: str) -> str:
    return f'agent: {{id: gw}}\npublishers:\n  plant:\n    type: mqtt\n    url: "mqtt://192.0.2.1"\n    {body}  # <-\n'


def _top(body: str) -> str:
    return f"agent: {{id: gw}}\n{body}  # <-\n"


GW = "agent: {id: gw}\n"

BROKEN: list[Broken] = [
    _case(
        _device('tags:\n  a: {address: "holding:0"}\n  x: {address: "holding:9", count: 200}  # <-'), "max_registers"
    ),
    _case(_device("tags_file: 'C:\\\\plant\\\\a.csv'  # <-"), "a path of Windows"),
    _case("agent: {id: gw}\nhttp:\n  auth: {token_file: 'C:\\\\t.txt'}  # <-\n", "a path of Windows"),
    # YAML itself
    _case(GW + "log:\n\tlevel: info\n", "tab", 3),
    _case(GW + "log: {level: info\nhttp: null\n", "}", 3),
    _case(GW + "include: [a.yaml\nhttp: null\n", "]", 3),
    _case(GW + "log: {level: 'info}\nhttp: null\n", "closed", 2),
    _case(GW + "log:\n  level: info\n format: json\n", "line up", 4),
    _case(GW + "log: level: info\n", "colon", 2),
    _case(GW + "include: - a\n", "list item", 2),
    _case(GW + "publishers: {p: {devices: [*]}}\n", "quotes", 2),
    _case(GW + "publishers: {p: {root: @x}}\n", "@", 2),
    _case(GW + "publishers: {p: {root: `x`}}\n", "`", 2),
    _case(GW + "publishers: {p: {root: %x}}\n", "%", 2),
    _case(GW + 'publishers: {p: {root: "\\x"}}\n', "backslash", 2),
    _case(GW + "---\nlog: {}\n", "second document", 2),
    _case(GW + "log: *levels\n", "anchor", 2),
    _case(GW + "x-a: &a [*a]\n", "anchor", 2),
    _case(GW + "log: {level: !secret x}\n", "tag", 2),
    _case(GW + "log: !!python/object:os.system {}\n", "tag", 2),
    _case(GW + "http: {port: !!int eighty}\n", "!!int", 2),
    _case(GW + "? [a, b]\n: 1\n", "key", 2),
    _case(GW + "log: {level: in\x01fo}\n", "control character", 2),
    _case(GW + "log:\n  <<: 5\n", "<<", 3),
    _case("[agent, log]\n", "mapping", 1),
    _case("just words\n", "mapping", 1),
    _case("", "empty", 1),
    _case("# nothing but this\n", "empty", 1),
    _case("%YAML 3.0\n---\nagent: {id: gw}\n", "YAML", 1),
    _case(GW + "x-deep: " + "[" * 60 + "]" * 60 + "\n", "deeper", 2),
    _case(GW + "http: {port: " + "9" * 5000 + "}\n", "digits", 2),
    # duplicate keys
    _case(GW + "log: {level: info}\nlog: {level: info}  # <-\n", "second time"),
    _case(GW + "log:\n  level: info\n  level: debug  # <-\n", "line 3"),
    _case(_device('tags:\n  oil: {address: "holding:0"}\n  oil: {address: "holding:1"}  # <-'), "second time"),
    _case(GW + "devices:\n  a: {type: modbus, url: 'tcp://h'}\n  a: {type: modbus, url: 'tcp://h'}  # <-\n", "`a`"),
    # the agent
    _case("log: {level: info}\n", "agent", 1),
    _case("agent: {}\n", "id", 1),
    _case("agent:  # <-\n", "mapping"),
    _case("agent: gw-01\n", "mapping", 1),
    _case("agent: {id: gateway one}\n", "gateway one", 1),
    _case("agent: {id: 7}\n", '"7"', 1),
    _case("agent: {id: true}\n", "quotes", 1),
    _case("agent: {id: " + "x" * 65 + "}\n", "64", 1),
    _case("agent: {id: 'Presse Ö'}\n", "name", 1),
    _case("agent: {id: gw, location: acme}\n", "list", 1),
    _case("agent: {id: gw, location: []}\n", "at least 1", 1),
    _case("agent: {id: gw, location: [a/b]}\n", "/", 1),
    _case("agent: {id: gw, location: ['+']}\n", "+", 1),
    _case("agent: {id: gw, data_dir: 5}\n", "data_dir", 1),
    _case("agent: {id: gw, idd: gw}\n", "`id`", 1),
    # top level
    _case(_top("publisher: {}"), "publishers"),
    _case(_top("dvices: {}"), "devices"),
    _case(_top("5: {}"), "5"),
    _case(_top("log: {level: verbose}"), "debug, info"),
    _case(_top("log: {level: Info}"), "info"),
    _case(_top("log: {format: jsn}"), "json"),
    _case(_top("log: json"), "mapping"),
    _case(_top("templates: 1"), "mapping"),
    _case(_top("http: 8080"), "mapping"),
    _case(_top("http: {port: 70000}"), "65535"),
    _case(_top('http: {port: "8080"}'), "quotes"),
    _case(_top("http: {port: 80.5}"), "whole"),
    _case(_top("http: {port: true}"), "whole"),
    _case(_top("http: {auth: {token_file: nowhere}}"), "nowhere"),
    _case(_top("http: {auth: {token: abc}}"), "token"),
    _case(_top("http: {host: null}"), "host"),
    _case(_top("outbox: {durability: disk}"), "fsync"),
    _case(_top("outbox: {max_bytes: 1073741824}"), "unit"),
    _case(_top("outbox: {max_bytes: 1 GigaByte}"), "GiB"),
    _case(_top("outbox: {max_age: 30}"), "30s for seconds"),
    _case(_top("outbox: {max_age: 30 days}"), "30d"),
    _case(_top("outbox: {max_age: 0s}"), "zero"),
    _case(_top("outbox: {when_full: block}"), "drop_oldest"),
    _case(_top("outbox: {keep_acked: 10m}"), "mapping"),
    _case(_top("include: devices/*.yaml"), "[devices/*.yaml]"),
    _case(_top("include: [nowhere/*.yaml]"), "nowhere"),
    _case(_top("include: [5]"), "text"),
    # the environment
    _case(_top("log: {level: '${EDGE_NOT_SET}'}"), "EDGE_NOT_SET"),
    _case(_top("log: {level: '${EDGE NOT SET}'}"), "not the name of an environment variable"),
    _case(_top("log: {level: ${EDGE_TEXT}}"), 'put it into quotes: "${NAME}"', 2),
    _case(_top("log: {level: '${'}"), "${NAME}"),
    _case(_top("http: {port: '${EDGE_TEXT}'}"), "${EDGE_TEXT}"),
    # publishers
    _case(_top("publishers: [plant]"), "mapping"),
    _case(_top("publishers: {plant: mqtt}"), "type"),
    _case(_top("publishers: {plant: {}}"), "mqtt"),
    _case(_top("publishers: {'a b': {type: mqtt}}"), "a b"),
    _case(_top("publishers: {plant: {type: mqqt}}"), "did you mean mqtt"),
    _case(_top("publishers: {plant: {type: kafka}}"), "mqtt"),
    _case(_top("publishers: {plant: {type: [mqtt]}}"), "type"),
    _case(_top("publishers: {plant: {type: mqtt}}"), "url"),
    _case(_top("publishers: {plant: {type: mqtt, url: 'tcp://h'}}"), "mqtt://"),
    _case(_top("publishers: {plant: {type: mqtt, url: broker}}"), "mqtt://"),
    _case(_top("publishers: {plant: {type: mqtt, url: 'mqtt://me:hunter2@h'}}"), "URL"),
    _case(_top("publishers: {plant: {type: mqtt, url: 'http://h'}}"), "else mqtt://"),
    _case(_publisher("version: 5"), '"5"'),
    _case(_publisher("version: 3.1.2"), "3.1.1"),
    _case(_publisher("password: hunter2"), "${NAME}"),
    _case(_publisher("password_file: /run/secrets/nowhere"), "nowhere"),
    _case(_publisher("tls: {ca_file: nowhere.pem}"), "nowhere.pem"),
    _case(_publisher("tls: {verify: false}"), "verify"),
    _case(_publisher("tls: true"), "mapping"),
    _case(_publisher("keep_alive: 30"), "30s for seconds"),
    _case(_publisher("keep_alive: 500ms"), "at least 1s"),
    _case(_publisher("qos: 2"), "0, 1"),
    _case(_publisher("window: 0"), "at least 1"),
    _case(_publisher("max_message_bytes: 96"), "KiB"),
    _case(_publisher("replay: {share: 1.5}"), "at most 1"),
    _case(_publisher("replay: {order: newest}"), "live_first"),
    _case(_publisher("replay: {max_rate: 50}"), "50/s"),
    _case(_publisher('topic: "{root}/{devise}"'), "devise"),
    _case(_publisher('topic: "{root}/all"'), "{device}"),
    _case(_publisher("root: a/#"), "#"),
    _case(_publisher("encoder: json"), "{type: json}"),
    _case(_publisher("encoder: {type: protobuf}"), "json"),
    _case(_publisher("encoder: {type: json, int64: text}"), "string"),
    _case(_publisher('devices: "*"'), "list"),
    _case(_publisher("devices: []"), "nothing"),
    _case(_publisher('devices: ["press-*"]'), "press-*"),
    _case(_publisher("outbox: {max_byte: 1GiB}"), "max_bytes"),
    _case(_publisher("clientid: x"), "client_id"),
    # devices
    _case(_top("devices: [press]"), "mapping"),
    _case(_top("devices: {press: null}"), "mapping"),
    _case(_top("devices: {press/1: {type: modbus}}"), "press/1"),
    _case(_top("devices: {1: {type: modbus}}"), '"1"'),
    _case(_top("devices: {press: {url: 'tcp://h'}}"), "modbus, opcua"),
    _case(_top("devices: {press: {type: s7}}"), "opcua"),
    _case(_top("devices: {press: {type: Modbus}}"), "did you mean modbus"),
    _case(_top("devices: {press: {type: modbus}}"), "url"),
    _case(_top("devices: {press: {type: modbus, url: '192.0.2.1'}}"), "tcp://"),
    _case(_top("devices: {press: {type: modbus, url: 'http://h'}}"), "tcp://"),
    _case(_top("devices: {press: {type: modbus, url: 'serial:///dev/ttyS0?baud=9600'}}"), "baudrate"),
    _case(_two('url: "serial:///dev/ttyS0?parity=N"'), "shares serial:///dev/ttyS0 with `devices.a`"),
    _case(_two('url: "serial:///dev/ttyS0", workarounds: {echo: true}'), "another `workarounds.echo`"),
    _case(_device("tls: {ca_file: none.pem}  # <-").replace("tcp://", "tls://"), "none.pem"),
    _case(_device("unit_id: 256  # <-"), "255"),
    _case(_device('unit_id: "1"  # <-'), "quotes"),
    _case(_device("slave_id: 1  # <-"), "unit_id"),
    _case(_device("unit: 1  # <-"), "did you mean `unit_id`?"),
    _case(_device("slaveId: 1  # <-"), "unit_id"),
    _case(_device("poll_rate: 1s  # <-"), "interval"),
    _case(_device("enabled: yes  # <-"), "write true"),
    _case(_device("enabled: off  # <-"), "write false"),
    _case(_device('enabled: "true"  # <-'), "without quotes"),
    _case(_device("enabled: 1  # <-"), "true or false"),
    _case(_device("interval: 1  # <-"), "1s for seconds"),
    _case(_device("interval: 1sec  # <-"), "write 1s"),
    _case(_device("interval: 0s  # <-"), "zero"),
    _case(_device("interval: -1s  # <-"), "duration"),
    _case(_device("timeout: 1,5s  # <-"), "duration"),
    _case(_device("byte_order: ABDC  # <-"), "ABCD"),
    _case(_device("max_registers: 126  # <-"), "125"),
    _case(_device("location: []  # <-"), "empty"),
    _case(_device("location: [a, b#]  # <-"), "b#"),
    _case(_device("batch: {delay: 1s}  # <-"), "max_delay"),
    _case(_device("batch: {max_delay: 2m}  # <-"), "60s or less"),
    _case(_device("tags_file: nowhere.csv  # <-"), "nowhere.csv"),
    _case(_device("tags: [oil]  # <-"), "mapping"),
    _case(_device("tags:\n  oil: holding:0  # <-"), "mapping"),
    _case(_device('tags:\n  "": {address: "holding:0"}  # <-'), "tag name"),
    _case(_device('tags:\n  7: {address: "holding:0"}  # <-'), '"7"'),
    # Modbus tags
    _case(_tag("address: 40001"), "quotes"),
    _case(_tag("address: holding"), "holding"),
    _case(_tag('address: "register:5"'), "register"),
    _case(_tag('address: "holding:70000"'), "65535"),
    _case(_tag('address: "holding:0.16"'), "15"),
    _case(_tag("type: int16"), "address"),
    _case(_tag('address: "holding:0", type: word'), "uint16"),
    _case(_tag('address: "holding:0", type: REAL'), "write float32"),
    _case(_tag('address: "holding:0", type: string'), "length"),
    _case(_tag('address: "coil:0", type: float32'), "bit"),
    _case(_tag('address: "holding:0", adress: 5'), "address"),
    _case(_tag('address: "holding:0", scale: "0.1"'), "quotes"),
    _case(_tag('address: "holding:0", scale: 0,1'), "point"),
    _case(_tag('address: "holding:0", scale: ten'), "number"),
    _case(_tag('address: "holding:0", range: [0, 10]'), "min: 0, max: 10"),
    _case(_tag('address: "holding:0", range: {min: 10, max: 0}'), "swap"),
    _case(_tag('address: "holding:0", round: 16'), "15"),
    _case(_tag('address: "holding:0", enum: {zero: off}'), "whole number"),
    _case(_tag('address: "holding:0", enum: {0: 1}'), "text"),
    _case(_tag('address: "holding:0", null_values: 5'), "[5]"),
    _case(_tag('address: "holding:0", report: changes'), "on_change"),
    _case(_tag('address: "holding:0", interval: twice'), "once"),
    _case(_tag('address: "holding:0", deadband: 0'), "above 0"),
    _case(_tag('address: "holding:0", deadband: {percent: 200}'), "100"),
    _case(_tag('address: "holding:0", unit: 1'), '"1"'),
    _case(_tag('address: "holding:0", max_silence: forever'), "duration"),
    # what was meant, in one step
    _case(_top("devices: {Press 1: {type: modbus}}"), "for example Press-1, and keep 'Press 1' as its `description`"),
    _case("agent: {id: gw, location: acme/suzhou}\n", "write [acme, suzhou]", 1),
    _case(_publisher("encoder: influx"), "write {type: influx}"),
    _case(_top("devices: {press: {type: modbus, url: COM3}}"), "serial:///dev/ttyUSB0?baudrate=9600"),
    _case(_top("devices: {press: {type: modbus, url: /dev/ttyUSB0}}"), 'write "serial:///dev/ttyUSB0?'),
    _case(_top("devices: {press: {type: modbus, url: 192.0.2.1}}"), 'write "tcp://192.0.2.1"'),
    _case(_tag("address: holding: 0"), '"holding:0"'),
    _case(_device("tags:\n  oil: holding:0  # <-"), 'write {address: "holding:0"}'),
    _case(_server("tags: {speed: ns=2;s=Speed}"), 'write {node: "ns=2;s=Speed"}'),
    _case(_device('tags: {}\noil: {address: "holding:0"}  # <-'), "indent it further than `tags:`"),
    _case(_device("").replace("    \n", '  oil: {address: "holding:0"}  # <-\n'), "below `tags:` of its device"),
    _case(_tag('address: "holding:0", enum: [off, on]'), "write {0: off, 1: on}"),
    _case(_tag('address: "holding:0", deadband: 1%'), "write {percent: 1}"),
    _case(_tag('address: "1!400001"'), 'write "400001", and `unit_id: 1`'),
    _case(_tag('address: "400001F"'), 'write "400001", and `type: float32`'),
    _case(_tag('address: "holdings:3"'), 'write "holding:3"'),
    _case(_tag('node: "ns=2;s=A"'), "`type` of this device is Modbus"),
    _case(_node('address: "holding:0"'), "`type` of this device is OPC UA"),
    _case(_node('address: "ns=2;s=A"'), 'write node: "ns=2;s=A" instead'),
    _case(_tag('address: "holding:0", name: oil'), "the key above it is the tag's name"),
    _case(_publisher("retain: true"), "never retained"),
    _case(_device("unit_id: $UNIT  # <-"), "write ${UNIT}"),
    _case(_device('unit_id: "{{ plc.unit }}"  # <-'), "write ${unit}"),
    _case(_device("unit_id: {{ unit }}  # <-"), "is filled in before"),
    _case(_device("{% for x in y %}\ntags: {}"), "fill it in before", 6),
    _case(_device("<<<<<<< HEAD\nunit_id: 1\n=======\nunit_id: 2").replace("    <", "<"), "git left two versions", 6),
    _case(_device("\u00a0timeout: 1s  # <-\ninterval: 1s"), "ordinary spaces"),
    _case(_device("timeout:\u00a01s  # <-\ninterval: 1s"), "ordinary spaces"),
    # keys that are no text
    _case("agent: {id: gw}\n1.5: x  # <-", "`1.5` is not a key"),
    _case("agent: {id: gw}\nnull: x  # <-", "`null` is not a key"),
    _case("agent: {id: gw}\ntrue: x  # <-", "`true` is not a key"),
    _case("agent: {id: gw}\ndevices:\n  2.5: {type: modbus, url: 'tcp://h'}  # <-", 'write it in quotes: "2.5"'),
    _case("agent: {id: gw}\ndevices:\n  null: {type: modbus, url: 'tcp://h'}  # <-", 'write it in quotes: "null"'),
    _case(_device("1.5: x  # <-"), "`devices.press.1.5` is not a key -> keys here: type"),
    _case(_device("null: x  # <-"), "`devices.press.null` is not a key -> keys here: type"),
    _case(_device('tags:\n  1.5: {address: "holding:0"}  # <-'), "the name 1.5 is not text"),
    _case(_device('tags:\n  null: {address: "holding:0"}  # <-'), "the name null is not text"),
    _case(_device('tags:\n  true: {address: "holding:0"}  # <-'), "the name true is not text"),
    _case(_tag('address: "holding:0", enum: {1.5: a}'), "1.5 is not a whole number"),
    _case(_tag('address: "holding:0", enum: {null: a}'), "null is not a whole number"),
    # OPC UA
    _case(_top("devices: {cnc: {type: opcua, url: 'http://h'}}"), "opc.tcp://"),
    _case(_server("mode: push"), "subscribe"),
    _case(_server("reverse: {server_uri: urn:a}"), "one of url:, urls: and reverse:", 4),
    _case(_calls("reverse: {}"), "server_uri"),
    _case(_calls("reverse: {server_uri: urn:a, listen: 4841}"), "listen"),
    _case(_calls('reverse: {server_uri: urn:a, listen: ":4841"}'), "127.0.0.1:4841"),
    _case(_calls("reverse: {server_uri: urn:a, endpoint_url: cnc}"), "opc.tcp://cnc:4840"),
    _case(_calls("reverse: {server_uri: urn:a, url: opc.tcp://cnc}"), "url"),
    _case(_calls("reverse: {server_uri: urn:a}\n    endpoint_url: opc.tcp://cnc"), "take endpoint_url: away", 5),
    _case(_calls("reverse: {server_uri: urn:first}"), "is `devices.a` already"),
    _case(_server("clock: {use: server}"), "agent"),
    _case(_server("clock: {utc_offset: 8}"), "utc_offset"),
    _case(_server("security: {policy: Basic128}"), "Basic256Sha256"),
    _case(_server("security: {mode: Sign}"), "policy: Basic256Sha256"),
    _case(_server("security: {policy: Basic256Sha256, mode: None}"), "SignAndEncrypt"),
    _case(_server("username: operator"), "password"),
    _case(_node("node: 2258"), "i=2258"),
    _case(_node('node: "Spindle"'), "nsu="),
    _case(_node('node: "$VEL_ACT"'), "-> write nsu="),
    _case(_node('nodeid: "ns=2;s=A"'), "`node`"),
    _case(_node('node: "ns=2;s=A", queue_size: 0'), "at least 1"),
    _case(_node('node: "ns=2;s=A", sampling_interval: fast'), "duration"),
]
