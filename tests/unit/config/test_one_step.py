"""What a hint says to write, written where the mistake was, is right: one step, and no next error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.loader import load
from agent.core.errors import ConfigError
from tests.unit.config.broken import _device, _node, _publisher, _server, _tag, _top

HOST = _device("").replace('url: "tcp://192.0.2.1:502"', "host: 192.0.2.1\n    port: 1502")
SERIAL = _device("baudrate: 19200").replace("tcp://192.0.2.1:502", "serial:///dev/ttyS0")
CASES: dict[str, tuple[str, str]] = {
    # text, and what of it is replaced by what the hint says
    "byte_order": (_tag('address: "holding:0", type: float32, byte_order: cdab'), "cdab"),
    "byte_order by its name": (_tag('address: "holding:0", type: float32, byte_order: little'), "little"),
    "byte_order in digits": (_tag('address: "holding:0", type: float32, byte_order: "3412"'), '"3412"'),
    "area by its function": (_tag('address: "hr:7"'), '"hr:7"'),
    "area in capitals": (_tag('address: "Input_Register:0x1F"'), '"Input_Register:0x1F"'),
    "area in words": (_tag('address: "discrete inputs 7"'), '"discrete inputs 7"'),
    "%MW": (_tag('address: "%MW100", type: int32'), '"%MW100"'),
    "quotes of a word processor": (_tag("address: \u201cholding:0\u201d"), "\u201cholding:0\u201d"),
    "decimal comma": (_tag('address: "holding:0", scale: "0,1"'), '"0,1"'),
    "fraction": (_tag('address: "holding:0", scale: 1/10'), "1/10"),
    "range": (_tag('address: "holding:0", range: [0, 100]'), "[0, 100]"),
    "enum": (_tag('address: "holding:0", enum: "0=off,1=on"'), '"0=off,1=on"'),
    "enum as a list": (_tag('address: "holding:0", enum: [off, on]'), "[off, on]"),
    "deadband": (_tag('address: "holding:0", deadband: 1%'), "1%"),
    "register": (_tag("register: 7"), "register: 7"),
    "register as Modicon counts": (_tag("register: 40001"), "register: 40001"),
    "host and port": (HOST, "host: 192.0.2.1\n    port: 1502"),
    "host of an OPC UA server": (
        _server("host: 192.0.2.1").replace('    url: "opc.tcp://192.0.2.1"\n', ""),
        "host: 192.0.2.1",
    ),
    "host of a broker": (
        _publisher("host: 192.0.2.1").replace('    url: "mqtt://192.0.2.1"\n', ""),
        "host: 192.0.2.1",
    ),
    "baud rate": (SERIAL, 'url: "serial:///dev/ttyS0"\n    baudrate: 19200'),
    "security": (_server("security: Basic256Sha256"), "Basic256Sha256"),
    "security by its mode": (_server("security: Sign"), "Sign"),
    "node": (_node("").replace("{}", "ns=2;s=Speed"), "ns=2;s=Speed"),
    "port alone": (_top("http: 8080"), "8080"),
    "encoder": (_publisher("encoder: sparkplug"), "sparkplug"),
    "no space": (_device("max_gap:8\ninterval: 2s"), "max_gap:8"),
    "no colon": (_device("max_gap 8\ninterval: 2s"), "max_gap 8"),
    "byte_order in bare digits": (_tag('address: "holding:0", type: float32, byte_order: 3412'), "3412"),
    "word order": (_tag('address: "holding:0", type: float32, word_order: little'), "word_order: little"),
    "swapped words": (_tag('address: "holding:0", type: float32, swap: word'), "swap: word"),
    "endianness": (_tag('address: "holding:0", type: float32, endian: big'), "endian: big"),
    "divisor": (_tag('address: "holding:0", divisor: 10'), "divisor: 10"),
    "ends beside the range": (_tag('address: "holding:0", min: 0, max: 10'), "min: 0, max: 10"),
    "range in dots": (_tag('address: "holding:0", range: 0..10'), "0..10"),
    "range with a dash": (_tag('address: "holding:0", range: -5 - 10'), "-5 - 10"),
    "bit beside the address": (_tag('address: "holding:10", bit: 4'), 'address: "holding:10", bit: 4'),
    "bit behind a colon": (_tag('address: "holding:10:4"'), '"holding:10:4"'),
    "area without a space": (_tag('address: "HR100"'), '"HR100"'),
    "4x": (_tag('address: "4x0001"'), '"4x0001"'),
    "address alone": (_tag("").replace("{}", "5"), "5  "),
    "number with its unit": (_tag('address: "holding:0", deadband: 0.5 bar'), "0.5 bar"),
    "interval of a scan": (_tag('address: "holding:0", scan_rate: 1000'), "scan_rate: 1000"),
    "interval without a unit": (_tag('address: "holding:0", interval: 1000'), "1000"),
    "interval in words": (_tag('address: "holding:0", interval: 5 minutes'), "5 minutes"),
    "modbus://": (_device("").replace("tcp://192.0.2.1:502", "modbus://192.0.2.1"), '"modbus://192.0.2.1"'),
    "a port with its settings": (
        _device("").replace("tcp://192.0.2.1:502", "/dev/ttyUSB0:9600,8,N,1"),
        '"/dev/ttyUSB0:9600,8,N,1"',
    ),
    "two slashes": (_device("").replace("tcp://192.0.2.1:502", "serial://dev/ttyS0"), "serial://dev/ttyS0"),
    "parity in words": (
        _device("").replace("tcp://192.0.2.1:502", "serial:///dev/ttyS0?parity=even"),
        "parity=even",
    ),
    "agent by its name": (_device("").replace("{id: gw}", "gw-01"), "gw-01"),
    "address to listen on": (_top("http: 0.0.0.0:8080"), "0.0.0.0:8080"),
    "no page": (_top("http: false"), "false"),
    "history by its length": (_top("history: 7d"), "7d"),
    "log by its level": (_top("log: debug"), "debug"),
    "http:// of an OPC UA server": (_server("").replace("opc.tcp://192.0.2.1", "http://192.0.2.1"), "http://192.0.2.1"),
    "node with a colon": (_node('node: "2:Speed"'), '"2:Speed"'),
    "node as a number": (_node("node: 2258"), "2258"),
    "protocol": (_device("").replace("type: modbus", "protocol: modbus"), "protocol: modbus"),
    "order of a replay": (_publisher("replay: in_order"), "in_order"),
    "whose clock": (_server("clock: agent"), "agent  "),
    "kept by its age": (_top("outbox: {keep_acked: 1h}"), "1h"),
    "names to browse": (_server("browse: Machine/*"), "Machine/*"),
    "a number in quotes": (_publisher('qos: "1"'), '"1"'),
    "a will": (_publisher("will: true"), "true"),
    "count": (_tag('address: "holding:0", count: 200'), 'oil: {address: "holding:0", count: 200}'),
}


@pytest.mark.parametrize("name", CASES)
def test_one_step(name: str, tmp_path: Path) -> None:
    """There is one hint, and with what it says in place of what was wrong the file is right."""
    text, wrong = CASES[name]
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (hint,) = {mistake.hint for mistake in caught.value.mistakes}
    written = re.match(
        r"(?:no device takes more: )?write `?(.*?)`?(?: instead.*|, without .*|, and .*|, or .*| for .*| \(.*)?$",
        hint,
    )
    assert written is not None, hint
    assert text.count(wrong) == 1
    path.write_text(text.replace(wrong, written[1]))
    load(path, {})


@pytest.mark.parametrize(
    ("section", "item"), [("devices", "- name: press\n    type: modbus"), ("publishers", "- id: p")]
)
def test_a_list_where_names_stand(section: str, item: str, tmp_path: Path) -> None:
    """The name of its first item is written as the key it is here."""
    path = tmp_path / "agent.yaml"
    path.write_text(f"agent: {{id: gw}}\n{section}:\n  {item}\n")
    with pytest.raises(ConfigError, match=r"write `(press|p):` instead of `- (name|id): (press|p)`"):
        load(path, {})


def test_a_variable_is_not_repeated(tmp_path: Path) -> None:
    """What came out of the environment stands in no hint: it may be a secret."""
    path = tmp_path / "agent.yaml"
    path.write_text(HOST.replace("192.0.2.1", "${PLC}"))
    with pytest.raises(ConfigError) as caught:
        load(path, {"PLC": "hunter2"})
    assert "${PLC}:1502" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("名称,地址,类型\n油温,holding:0,float32\n", "tag,address,type"),
        ("Name,Adresse,Datentyp,Einheit\noil,holding:0,float32,bar\n", "tag,address,type,unit"),
        ("Tag Name,Address,Data_Type\noil,holding:0,float32\n", "tag,address,type"),
        ("TAG,ADDRESS\noil,holding:0\n", "tag,address"),
        ("点位名称,寄存器地址,Byte Order\noil,holding:0,CDAB\n", "tag,address,byte_order"),
    ],
)
def test_a_first_line_of_others(table: str, line: str, tmp_path: Path) -> None:
    """Columns as other tools and other languages call them: the hint is the line to write."""
    (tmp_path / "agent.yaml").write_text(
        _device("tags_file: t.csv").replace("tags:", "tags_was:").replace("tags_was: {}", "")
    )
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {})
    (hint,) = {mistake.hint for mistake in caught.value.mistakes}
    assert hint == f"write it as {line}"
    (tmp_path / "t.csv").write_text(table.replace(table.partition("\n")[0], line))
    load(tmp_path / "agent.yaml", {})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (_device("tags:\n  interval: 5s\n  oil: {address: holding:0}"), "indent it less, beside `tags:`"),
        (_device("address: holding:0"), "write `tags: {NAME: {address: …}}`"),
        (_device("tags: [oil, water]"), "write `NAME: {…}` for each"),
        ("agent:\n  id: gw\n  devices: {}\n", "begin `devices:` at the left margin, beside `agent:`"),
        (
            _publisher("devices: {press: {type: modbus}}"),
            'write the names it carries, `devices: ["*"]`; devices themselves',
        ),
        ("agent\uff1a\n  id: gw\n", "write : , { } [ ] as on an English keyboard"),
        ("agent: {id: gw\uff0c data_dir: data}\n", "write : , { } [ ] as on an English keyboard"),
        ("agent: {id: gw}\n\u00a0\u00a0log: {}\n", "indent it with ordinary spaces"),
        (_device("description: hall: 2").replace("press:\n", "press: {").replace("\n    ", ", "), "into quotes: "),
        (
            _tag("address: coil:0").replace("tags:\n      oil: ", "tags: {oil_{n}: ").replace("}  #", "}}  #"),
            '"oil_{n}"',
        ),
        (_device("").replace("type: modbus", "driver: modbus"), "write `type: modbus` instead of `driver:`"),
        ("agent: {id: gw}\ndevices:\n  tags: {a: {address: coil:0}}\n", "indent `tags:` further, below its device"),
    ],
)
def test_a_level_too_far(text: str, hint: str, tmp_path: Path) -> None:
    """What stands at another level, or was typed on another keyboard, is told as that."""
    (tmp_path / "agent.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {})
    assert any(hint in mistake.hint for mistake in caught.value.mistakes), caught.value.mistakes
