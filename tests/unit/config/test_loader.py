"""Files, includes, tables, secrets, types: what a right configuration becomes."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from agent.config import files, registry
from agent.config.files import Reads
from agent.config.loader import Loaded, load
from agent.config.summary import warnings
from agent.core.errors import ConfigError, Mistake
from agent.encoders.json import JsonConfig

GW = "agent: {id: gw}\n"


def loaded(folder: Path, files: dict[str, str], environ: dict[str, str] | None = None) -> Loaded:
    """Load agent.yaml out of these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder / "agent.yaml", environ or {})


def refused(folder: Path, files: dict[str, str], environ: dict[str, str] | None = None) -> list[Mistake]:
    """The mistakes of these files."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, files, environ)
    return list(caught.value.mistakes)


def device(name: str = "press", extra: str = "") -> str:
    """A device as an entry under `devices:`."""
    return f'  {name}:\n    type: modbus\n    url: "tcp://192.0.2.1"\n{extra}'


def publisher(name: str = "plant", extra: str = "") -> str:
    """A publisher as an entry under `publishers:`."""
    return f'  {name}:\n    type: mqtt\n    url: "mqtt://192.0.2.1"\n{extra}'


# --- memory -----------------------------------------------------------------------------------------------------------


def test_what_was_read_is_let_go_device_by_device(tmp_path, monkeypatch):
    """All devices as they are written take more than their models, so they are never there with all models."""
    monkeypatch.setattr(files, "LARGEST", 1 << 17)  # so much is taken for a moment by reading any file
    tags = {f"tag_{n}": {"address": f"holding:{n}", "unit": "Cel", "type": "uint16"} for n in range(100)}

    def of(devices: int) -> dict[str, str]:
        parts = {f"plc-{n}": {"type": "modbus", "url": f"tcp://h{n}", "tags": tags} for n in range(devices)}
        return {"agent.yaml": json.dumps({"agent": {"id": "gw"}, "devices": parts})}

    loaded(tmp_path, of(1))  # everything is imported
    tracemalloc.start()
    try:
        kept = loaded(tmp_path, of(10)).config
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.65 * now  # 1.39; 1.92 where it is not
    one, other = (kept.devices[name].tags["tag_1"] for name in ("plc-0", "plc-1"))
    assert one.unit is other.unit


# --- defaults ---------------------------------------------------------------------------------------------------------


def test_the_least(tmp_path):
    """An agent's id is all that is required."""
    config = loaded(tmp_path, {"agent.yaml": GW}).config
    assert config.agent.location == ["gw"]
    assert config.agent.data_dir == Path("/data")
    assert (config.log.level, config.log.format) == ("info", "json")
    assert config.http is not None
    assert (config.http.host, config.http.port, config.http.auth) == ("127.0.0.1", 8080, None)
    assert config.outbox.max_bytes == 1 << 30
    assert (config.publishers, config.devices) == ({}, {})


def test_http_off(tmp_path):
    """`http: null` turns it off."""
    assert loaded(tmp_path, {"agent.yaml": GW + "http: null\n"}).config.http is None


def test_relative_paths(tmp_path):
    """A relative path starts at the folder of the file it is written in."""
    files = {
        "agent.yaml": "agent: {id: gw, data_dir: data}\ninclude: [sub/*.yaml]\n",
        "sub/p.yaml": "publishers:\n" + publisher(extra="    username: me\n    password_file: secret\n"),
        "sub/secret": "x",
    }
    config = loaded(tmp_path, files).config
    assert config.agent.data_dir == tmp_path / "data"
    assert config.publishers["plant"].password_file == tmp_path / "sub" / "secret"  # type: ignore[attr-defined]


def test_encoder_default(tmp_path):
    """A publisher without `encoder:` speaks json."""
    config = loaded(tmp_path, {"agent.yaml": GW + "publishers:\n" + publisher()}).config
    assert isinstance(config.publishers["plant"].encoder, JsonConfig)


def test_encoder_keys(tmp_path):
    """The encoder's own keys reach it."""
    text = GW + "publishers:\n" + publisher(extra="    encoder: {type: json, int64: string}\n")
    encoder = loaded(tmp_path, {"agent.yaml": text}).config.publishers["plant"].encoder
    assert isinstance(encoder, JsonConfig)
    assert encoder.int64 == "string"


def test_outbox_is_merged(tmp_path):
    """A publisher's `outbox:` overrides the common one key by key; the rest is inherited."""
    text = GW + "outbox: {max_bytes: 5MiB, durability: fsync, keep_acked: {age: 1m}}\npublishers:\n"
    text += publisher("a", "    outbox: {max_bytes: 7MiB}\n") + publisher("b", "    root: b\n")
    config = loaded(tmp_path, {"agent.yaml": text}).config
    a, b = config.publishers["a"].outbox, config.publishers["b"].outbox
    assert a is not None
    assert b == config.outbox
    assert (a.max_bytes, a.durability, a.max_age) == (7 << 20, "fsync", 30 * 86400.0)
    assert a.keep_acked == config.outbox.keep_acked


def test_a_mistake_in_the_common_outbox_is_told_once(tmp_path):
    """Publishers that inherit a mistake do not repeat it."""
    text = GW + "outbox: {max_age: 30}\npublishers:\n" + publisher("a") + publisher("b")
    assert [m.line for m in refused(tmp_path, {"agent.yaml": text})] == [2]


def test_extension_keys(tmp_path):
    """Top-level keys that begin with x- are the user's: a place for anchors."""
    text = "x-slow: &slow {interval: 10s, timeout: 2s}\n" + GW
    text += "devices:\n" + device(extra="    <<: *slow\n")
    assert loaded(tmp_path, {"agent.yaml": text}).config.devices["press"].interval == 10.0


# --- environment and secrets ------------------------------------------------------------------------------------------


def test_numbers_from_the_environment(tmp_path):
    """A variable is read as what the field wants."""
    text = "agent: {id: '${ID}'}\nhttp: {port: '${PORT}'}\ndevices:\n"
    text += device(extra="    enabled: ${ON}\n    interval: ${EVERY}\n")
    config = loaded(tmp_path, {"agent.yaml": text}, {"ID": "7", "PORT": "90", "ON": "false", "EVERY": "5s"}).config
    assert config.agent.id == "7"
    assert config.http is not None
    assert config.http.port == 90
    assert config.devices["press"].enabled is False
    assert config.devices["press"].interval == 5.0


def test_secret_from_the_environment(tmp_path):
    """A password out of the environment is taken, and neither shown nor hashed."""
    text = GW + "publishers:\n" + publisher(extra="    username: me\n    password: ${SECRET}\n")
    one = loaded(tmp_path, {"agent.yaml": text}, {"SECRET": "hunter2"})
    other = load(tmp_path / "agent.yaml", {"SECRET": "hunter3"})
    assert one.config.publishers["plant"].password.get_secret_value() == "hunter2"  # type: ignore[attr-defined]
    assert "hunter2" not in repr(one)
    assert one.hash == other.hash


def test_a_variable_is_never_repeated_in_a_mistake(tmp_path):
    """What came out of the environment is named by its variable."""
    text = GW + "http: {port: '${P}'}\nlog: {level: '${P}'}\ndevices:\n" + device(extra="    interval: ${P}\n")
    mistakes = refused(tmp_path, {"agent.yaml": text}, {"P": "hunter2"})
    assert len(mistakes) == 3
    assert all("${P}" in str(mistake) and "hunter2" not in str(mistake) for mistake in mistakes)


# --- includes ---------------------------------------------------------------------------------------------------------


def test_includes(tmp_path):
    """Included files add devices and publishers, also from files they include themselves."""
    files = {
        "agent.yaml": GW + "include: ['sub/*.yaml', publishers.yaml]\ndevices:\n" + device("a"),
        "sub/b.yaml": "include: [deeper/c.yaml]\ndevices:\n" + device("b"),
        "sub/deeper/c.yaml": "devices:\n" + device("c"),
        "publishers.yaml": "publishers:\n" + publisher(),
    }
    found = loaded(tmp_path, files)
    assert set(found.config.devices) == {"a", "b", "c"}
    assert set(found.config.publishers) == {"plant"}
    names = [str(file.relative_to(tmp_path)) for file in found.files]
    assert names == ["agent.yaml", "sub/b.yaml", "publishers.yaml", "sub/deeper/c.yaml"]


def test_circles(tmp_path):
    """Files may include each other, and patterns the file itself: each is read once."""
    files = {
        "agent.yaml": GW + "include: ['*.yaml']\ndevices:\n" + device("a"),
        "b.yaml": "include: ['*.yaml']\ndevices:\n" + device("b"),
    }
    assert set(loaded(tmp_path, files).config.devices) == {"a", "b"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda file: file.symlink_to("gone.yaml"), "is a link that leads nowhere"),
        (lambda file: file.symlink_to("b.yaml"), "cannot be read"),
        (os.mkfifo, "is a pipe or a device"),
    ],
    ids=["nothing", "itself", "pipe"],
)
def test_what_a_pattern_matches_is_not_left_out_in_silence(tmp_path, make, words):
    """A link that leads nowhere would remove the devices of its file; a folder is no file anybody meant."""
    (tmp_path / "sub").mkdir()
    make(tmp_path / "sub" / "b.yaml")
    (tmp_path / "sub" / "folder.yaml").mkdir()
    files = {
        "agent.yaml": GW + "include: ['sub/*.yaml']\ndevices:\n" + device("a"),
        "sub/c.yaml": "devices:\n" + device("c"),
    }
    (mistake,) = refused(tmp_path, files)
    assert (mistake.path, mistake.line) == (str(tmp_path / "agent.yaml"), 2)
    assert "sub/b.yaml" in mistake.reason
    assert words in mistake.reason


@pytest.mark.parametrize("pattern", ["**/*.yaml", "*/*/*/*/*/*.yaml", "many/*"])
def test_a_pattern_does_not_look_through_a_disk(tmp_path, monkeypatch, pattern):
    """Links that lead in circles, or a folder that is none of devices: a mistake where the pattern stands."""
    monkeypatch.setattr("agent.config.files.MOST_FILES", 50)
    for number in range(3):
        (tmp_path / f"again{number}").symlink_to(tmp_path)
    (tmp_path / "many").mkdir()
    for number in range(60):
        (tmp_path / "many" / f"{number}.yaml").touch()
    (mistake,) = refused(tmp_path, {"agent.yaml": GW + f"include: ['{pattern}']\ndevices:\n" + device("a")})
    assert (mistake.path, mistake.line) == (str(tmp_path / "agent.yaml"), 2)
    assert mistake.reason == f"`include`: '{pattern}' leads to more than 50 files or folders"


def test_many_patterns_do_not_multiply(tmp_path, monkeypatch):
    """The same one again is followed once; others lead to no more files than one may: 10,000 of them took minutes."""
    monkeypatch.setattr("agent.config.files.MOST_FILES", 50)
    (tmp_path / "many").mkdir()
    for number in range(30):
        (tmp_path / "many" / f"{number}.yaml").touch()
    head = GW + f"include: [{', '.join(['many/*'] * 1000)}"
    (mistake,) = refused(tmp_path, {"agent.yaml": head + ", many/*.y*]\ndevices:\n" + device("a")})
    assert mistake.reason == "`include`: 'many/*.y*' leads to more than 50 files or folders"


def test_one_device_in_two_files(tmp_path):
    """A device in two files is a mistake that names both places."""
    files = {
        "agent.yaml": GW + "include: [b.yaml]\ndevices:\n" + device("a"),
        "b.yaml": "devices:\n" + device("a"),
    }
    mistakes = refused(tmp_path, files)
    assert [(m.path, m.line) for m in mistakes] == [(str(tmp_path / "b.yaml"), 2)]
    assert f"{tmp_path / 'agent.yaml'}:4" in mistakes[0].reason


def test_what_an_included_file_may_hold(tmp_path):
    """Only devices, publishers and further includes."""
    files = {"agent.yaml": GW + "include: [b.yaml]\n", "b.yaml": "x-mine: 1\nlog: {level: info}\n"}
    assert [(Path(m.path).name, m.line) for m in refused(tmp_path, files)] == [("b.yaml", 2)]


def test_mistakes_of_all_files_in_order(tmp_path):
    """One run shows the mistakes of all files, in the order of files and lines."""
    files = {
        "agent.yaml": "agent: {id: '?'}\ninclude: [z.yaml, b.yaml]\nlog: {level: x}\n",
        "z.yaml": "devices: {a: 1\n",
        "b.yaml": "devices:\n" + device("b", "    tags_file: t.csv\n    intervall: 1s\n"),
        "t.csv": "tag,address\nx,nowhere:0\n",
    }
    found = [(Path(m.path).name, m.line) for m in refused(tmp_path, files)]
    assert found == [("agent.yaml", 1), ("agent.yaml", 3), ("z.yaml", 1), ("b.yaml", 6), ("t.csv", 2)]


def test_a_folder_is_no_file(tmp_path):
    """A folder in place of a file is told, not raised."""
    (tmp_path / "agent.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "agent.yaml")


def test_a_name_that_is_not_utf8(tmp_path):
    """A folder that was named in another encoding: nothing could show or hash a path in it."""
    folder = tmp_path / os.fsdecode(b"\xb9\xa4")
    folder.mkdir()
    (folder / "agent.yaml").write_text("agent: {id: gw}\n")
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}\ninclude: ['*/agent.yaml']\n")
    for file in (folder / "agent.yaml", tmp_path / "agent.yaml"):
        with pytest.raises(ConfigError, match="is not UTF-8 -> rename it"):
            load(file)


def test_not_utf8(tmp_path):
    """Bytes that are not UTF-8 are found by their line."""
    (tmp_path / "agent.yaml").write_bytes(b"agent: {id: gw}\n# gr\xfc\xdfe\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml")
    assert [(m.line, "UTF-8" in m.hint) for m in caught.value.mistakes] == [(2, True)]


# --- tables -----------------------------------------------------------------------------------------------------------

TABLE = GW + "devices:\n" + device(extra="    tags_file: t.csv\n    tags:\n      own: {address: 'holding:0'}\n")


def table(tmp_path: Path, text: str) -> dict[str, dict[str, object]]:
    """The tags a table gives, without what is default."""
    found = loaded(tmp_path, {"agent.yaml": TABLE, "t.csv": text}).config.devices["press"].tag_table
    return {name: tag.model_dump(exclude_defaults=True) for name, tag in found.items() if name != "own"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_tables(separator: str, start: str, tmp_path):
    """Columns are the keys of a tag; numbers are numbers, text is text, an empty cell is an absent key."""
    rows = [
        ["tag", "address", "type", "unit", "scale", "range.max", "enabled", "interval"],
        ["a", "holding:1", "int16", "1", "0.5", "10", "false", "once"],
        ["b", "40021", "", "", "", "", "", "10s"],
    ]
    text = start + "".join(separator.join(row) + "\r\n" for row in rows) + "\r\n"
    found = table(tmp_path, text)
    assert found["a"] == {
        "address": "holding:1", "type": "int16", "unit": "1", "scale": 0.5, "range": {"max": 10.0}, "enabled": False,
        "interval": "once",
    }  # fmt: skip
    assert found["b"] == {"address": "holding:20", "interval": "10s"}


def test_structured_cells(tmp_path):
    """Lists and mappings are written as in YAML."""
    found = table(tmp_path, 'tag;address;enum;null_values\na;holding:1;"{0: off, 1: on}";[32768, 32767]\n')
    assert found["a"]["enum"] == {0: "off", 1: "on"}
    assert found["a"]["null_values"] == [32768, 32767]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("", 1, "empty"),
        ("name,address\nx,holding:0\n", 1, "`tag`"),
        ("tag,adress\nx,holding:0\n", 1, "address"),
        ("tag,address,range.mn\nx,holding:0,1\n", 1, "min"),
        ("tag,address,address\nx,holding:0,1\n", 1, "twice"),
        ("tag,address\nx,holding:0\ny,holding\n", 3, "area:offset"),
        ("tag,address\nx,holding:0\n\nx,holding:1\n", 4, "line 2"),
        ("tag,address\nown,holding:1\n", 2, "agent.yaml:8"),
        ("tag,address\nx,holding:0,5\n", 2, "separators"),
        ("tag,address\n,holding:0\n", 2, "name"),
        ('tag,address,description\nx,holding:0,"two\nlines"\ny,"holding\n', 4, "CSV"),
        ("tag,address,scale\nx,holding:0,ten\n", 2, "number"),
        ("tag,address,enabled\nx,holding:0,maybe\n", 2, "true or false"),
        ("tag,address,enum\nx,holding:0,{0: off\n", 2, "}"),
        ("tag,address,unit\nx,holding:0,${NOPE}\n", 2, "NOPE"),
        ("tag,type\nx,uint16\n", 2, "address"),
    ],
)
def test_broken_tables(text: str, line: int, word: str, tmp_path):
    """Mistakes in a table are found by its own lines."""
    mistakes = refused(tmp_path, {"agent.yaml": TABLE, "t.csv": text})
    assert [(m.path, m.line) for m in mistakes] == [(str(tmp_path / "t.csv"), line)], mistakes
    assert word in str(mistakes[0])


# --- across sections --------------------------------------------------------------------------------------------------


def test_globs(tmp_path):
    """Each glob of a publisher means at least one device."""
    text = GW + "publishers:\n" + publisher(extra="    devices: [press-*, meter]\n") + "devices:\n" + device("press-1")
    mistakes = refused(tmp_path, {"agent.yaml": text})
    assert [(m.line, "'meter'" in m.reason) for m in mistakes] == [(6, True)]


def test_all_devices_of_none(tmp_path):
    """The default glob may match nothing: an agent may begin without devices."""
    config = loaded(tmp_path, {"agent.yaml": GW + "publishers:\n" + publisher(extra='    devices: ["*"]\n')}).config
    assert config.publishers["plant"].devices == ["*"]


def test_client_ids(tmp_path):
    """One client id twice at one broker is a mistake; at two brokers it is none."""
    text = GW + "publishers:\n" + publisher("a") + publisher("b", "    client_id: gw-a\n    root: b\n")
    assert [m.line for m in refused(tmp_path, {"agent.yaml": text})] == [9]
    elsewhere = text.replace("192.0.2.1", "192.0.2.2", 1)
    assert len(loaded(tmp_path, {"agent.yaml": elsewhere}).config.publishers) == 2
    for same in ("mqtt://192.0.2.1:1883", "mqtts://192.0.2.1:1883"):
        second = publisher("b", f"    client_id: gw-a\n    root: b\n    other_urls: [mqtt://192.0.2.9, {same}]\n")
        text = GW + "publishers:\n" + publisher("a") + second.replace("url: mqtt://192.0.2.1", "url: mqtt://192.0.2.8")
        assert [m.line for m in refused(tmp_path, {"agent.yaml": text})] == [9]


def test_unreadable_secret(tmp_path):
    """A file that may not be read is a mistake now, not at the first connection."""
    (tmp_path / "secret").mkdir()
    text = GW + "publishers:\n" + publisher(extra="    username: me\n    password_file: secret\n")
    mistakes = refused(tmp_path, {"agent.yaml": text})
    assert [(m.line, "directory" in m.reason) for m in mistakes] == [(7, True)]


# --- hash -------------------------------------------------------------------------------------------------------------


def test_hash_is_of_the_meaning(tmp_path):
    """The same meaning has the same hash, however it is written and in how many files."""
    one = GW + "devices:\n" + device("a", "    interval: 1s\n") + device("b")
    other = "# comment\ninclude: [b.yaml]\ndevices:\n" + device("a", "    interval: 1000ms\n    enabled: true\n") + GW
    first = loaded(tmp_path / "1", {"agent.yaml": one})
    second = loaded(tmp_path / "2", {"agent.yaml": other, "b.yaml": "devices:\n" + device("b")})
    assert first.hash == second.hash
    assert len(first.hash) == 12
    assert loaded(tmp_path / "3", {"agent.yaml": one.replace("1s", "2s")}).hash != first.hash


# --- types ------------------------------------------------------------------------------------------------------------


def test_types_are_imported_when_they_are_configured(tmp_path):
    """A Modbus configuration imports nothing of OPC UA."""
    import subprocess

    (tmp_path / "agent.yaml").write_text(GW + "devices:\n" + device())
    code = f"""
import sys; from pathlib import Path; from agent.config.loader import load
load(Path({str(tmp_path / "agent.yaml")!r}))
assert "agent.collectors.modbus.config" in sys.modules
assert not [name for name in sys.modules if any(word in name for word in ("opcua", "asyncua", "pymodbus", "paho"))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_built_in_types_are_the_registered_ones():
    """The table for checkouts without metadata says what pyproject.toml says."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    points = project["project"]["entry-points"]
    assert points == registry.BUILT_IN


def test_a_type_that_cannot_be_imported(tmp_path, monkeypatch):
    """A part whose library is missing is a mistake of the configuration, with the reason."""
    monkeypatch.setitem(registry.BUILT_IN["agent.collectors"], "broken", "agent.nowhere:Config")
    registry._points.cache_clear()
    try:
        mistakes = refused(tmp_path, {"agent.yaml": GW + "devices: {a: {type: broken}}\n"})
    finally:
        monkeypatch.undo()
        registry._points.cache_clear()
    assert [(m.line, "agent.nowhere" in m.reason) for m in mistakes] == [(2, True)]


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_warnings(tmp_path):
    """What is allowed but odd is said by `check`."""
    text = GW + "http: {host: 0.0.0.0}\npublishers:\n"
    text += publisher(extra="    username: me\n    password_file: secret\n    qos: 0\n    devices: [b]\n")
    text += "devices:\n" + device("a") + device("b", "    tags: {x: {address: 'coil:0'}}\n")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o644)
    said = "\n".join(warnings(loaded(tmp_path, {"agent.yaml": text}).config))
    for word in ("http:", "password_file", "qos 0", "readable", "devices.a: has no tags", "devices.a: no publisher"):
        assert word in said
    assert "devices.b: reads unit 1" in said  # as a does
    assert said.count("devices.b") == 1


_ODD = [
    ('      a: {address: "holding:40001"}', 'write "40001" in quotes'),
    ('      a: {address: "holding:0", type: float32}\n      b: {address: "holding:1"}', "overlaps tags.a"),
    ('      a: {address: "holding:0", scale: 0}', "makes every value 0"),
    ('      a: {address: "holding:0", unit: "°C"}', 'write "Cel"'),
    ('      a: {address: "holding:0", unit: "°C"}\n      b: {address: "holding:1", unit: "°C"}', "(and 1 more tags)"),
    ('      a: {address: "holding:0", null_values: [-1]}', "never matches, uint16 is 0 to 65535; write 65535"),
    ('      a: {address: "holding:0", type: int16, null_values: [65535]}', "write -1"),
    ('      a: {address: "holding:0", type: float32, null_values: [0xFF7FFFFF]}', 'write "0xFF7FFFFF" in quotes'),
    ('      a: {address: "holding:0", interval: 5ms}', "faster than devices answer"),
]


@pytest.mark.parametrize(("tags", "words"), _ODD)
def test_what_is_probably_wrong(tags: str, words: str, tmp_path):
    """It is allowed, and said: the tag, what is odd, what to write."""
    head = 'agent: {id: gw}\ndevices:\n  a:\n    type: modbus\n    url: "tcp://192.0.2.1"\n    tags:\n'
    said = warnings(loaded(tmp_path, {"agent.yaml": head + tags + "\n"}).config)
    assert any(words in warning and warning.startswith("devices.a.") for warning in said), said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('a: {type: modbus, url: "tcp://192.168.1.300"}', "no IPv4 address"),
        ('a: {type: opcua, url: "opc.tcp://$HOST"}', "is no host; only ${NAME}"),
        ('a: {type: modbus, url: "tcp://h", interval: 100ms, timeout: 5s}', "write 1s or less"),
        ('a: {type: modbus, url: "tcp://h"}\n  b: {type: modbus, url: "tcp://h"}', "reads unit 1 at tcp://h:502, as"),
    ],
)
def test_devices_that_are_probably_wrong(body: str, words: str, tmp_path):
    """Likewise what devices say, and what two of them say."""
    said = warnings(loaded(tmp_path, {"agent.yaml": f"agent: {{id: gw}}\ndevices:\n  {body}\n"}).config)
    assert any(words in warning for warning in said), said


def test_a_data_dir_of_windows(tmp_path):
    """A path with a drive is a folder with a strange name here."""
    said = warnings(loaded(tmp_path, {"agent.yaml": "agent: {id: gw, data_dir: 'C:\\edge'}\n"}).config)
    assert any("a path of Windows" in warning for warning in said), said


def test_files_that_cannot_be_looked_at(tmp_path):
    """In a folder that this user may not enter, say: whoever needs them tells, and nothing ends with a traceback."""
    long = "x" * 300  # no user may look at this one, root neither
    publisher = f"{{type: mqtt, url: mqtt://127.0.0.1, username: u, password_file: {long}}}"
    text = f"agent: {{id: gw, data_dir: {long}/data}}\npublishers: {{p: {publisher}}}\n"
    (tmp_path / "agent.yaml").write_text(text)
    assert warnings(load(tmp_path / "agent.yaml", {}, secrets=False).config) == [
        "devices: there are none; nothing is read"
    ]


def test_no_warnings(tmp_path):
    """A configuration as it should be gives none."""
    text = GW + "publishers:\n" + publisher() + "devices:\n" + device(extra="    tags: {x: {address: 'coil:0'}}\n")
    assert warnings(loaded(tmp_path, {"agent.yaml": text}).config) == []


def test_environ_is_the_process(tmp_path, monkeypatch):
    """By default the variables are those of the process."""
    monkeypatch.setitem(os.environ, "EDGE_TEST_ID", "from-here")
    (tmp_path / "agent.yaml").write_text("agent: {id: '${EDGE_TEST_ID}'}\n")
    assert load(tmp_path / "agent.yaml").config.agent.id == "from-here"


# --- what is read -----------------------------------------------------------------------------------------------------


def test_secret_files_may_be_missing_at_a_start(tmp_path):
    """A start goes on without secret and certificate files: only their part waits for them. A table is needed now."""
    text = (
        GW + "http: {auth: {token_file: t}}\npublishers:\n" + publisher(extra="    username: u\n    password_file: p\n")
    )
    (tmp_path / "agent.yaml").write_text(text)
    assert [m.line for m in refused(tmp_path, {"agent.yaml": text})] == [2, 8]
    assert load(tmp_path / "agent.yaml", {}, secrets=False).config.publishers["plant"].type == "mqtt"
    (tmp_path / "agent.yaml").write_text(GW + "devices:\n" + device(extra="    tags_file: t.csv\n"))
    with pytest.raises(ConfigError, match=r"t\.csv"):
        load(tmp_path / "agent.yaml", {}, secrets=False)


def test_a_secret_that_cannot_be_one_is_a_mistake(tmp_path):
    """A byte order mark and a second line are named with the key, not sent to a broker."""
    text = GW + "publishers:\n" + publisher(extra="    username: u\n    password_file: p\n")
    for content, words in ((b"\xef\xbb\xbfx", "byte order mark"), (b"x\ny\n", "more than one line")):
        (tmp_path / "p").write_bytes(content)
        [mistake] = refused(tmp_path, {"agent.yaml": text})
        assert mistake.line == 7
        assert words in str(mistake)


def test_what_was_read_is_told_also_of_a_broken_configuration(tmp_path):
    """Every file it came from, missing ones too, and the patterns that decide which there are."""
    main = GW + "include: [d/*.yaml]\ndevices:\n" + device(extra="    tags_file: gone.csv\n")
    for name, text in {"agent.yaml": main, "d/a.yaml": "x: 1\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    reads = Reads()
    with pytest.raises(ConfigError):
        load(tmp_path / "agent.yaml", {}, reads=reads)
    assert list(reads.yaml) == [tmp_path / "agent.yaml", tmp_path / "d/a.yaml"]
    assert all(reads.yaml.values())
    assert reads.tables == {tmp_path / "gone.csv": ""}
    assert reads.globs == {("d/*.yaml", tmp_path): ("d/a.yaml",)}
    assert len(reads.hash()) == len("9f86d081884c")


def test_mistakes_in_json_have_their_lines(tmp_path):
    """JSON is read without lines, and where anything is wrong once more: what it includes, too."""
    tag = {"address": "holding:1"}
    part = {"type": "modbus", "url": "tcp://192.0.2.1", "tags": {"level": tag}}
    main = {"agent": {"id": "gw"}, "include": ["d/*.json"]}
    files = {"agent.yaml": json.dumps(main), "d/a.json": json.dumps({"devices": {"press": part}}, indent=1)}
    right = loaded(tmp_path, files)
    assert right.hash == loaded(tmp_path, files | {"d/a.json": "\n" + files["d/a.json"]}).hash  # no plain JSON: YAML
    tag["address"] = "holding:x"
    reads = Reads()
    (tmp_path / "d/a.json").write_text(json.dumps({"devices": {"press": part}}, indent=1))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {}, reads=reads)
    [mistake] = caught.value.mistakes
    assert (mistake.path, mistake.line) == (str(tmp_path / "d/a.json"), 8)
    assert list(reads.yaml) == [tmp_path / "agent.yaml", tmp_path / "d/a.json"]


@pytest.mark.parametrize("text", ["", "# devices:\n#   a: {}\n", "devices: {}\n", "---\n"])
def test_an_included_file_may_be_empty(tmp_path, text):
    """A file whose devices are all gone, or commented out, is a file without devices."""
    config = loaded(tmp_path, {"agent.yaml": GW + "include: [a.yaml]\n", "a.yaml": text}).config
    assert config.devices == {}


# --- former names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publishers", "files", "said"),
    [
        (publisher("main", "    was: plant\n"), ("plant",), None),
        (publisher("main", "    was: plant\n"), ("main",), None),
        (
            publisher("main", "    was: plant\n"),
            ("main", "plant"),
            (6, "`publishers.main.was`: there is an outbox under"),
        ),
        (
            publisher("main", "    was: plant\n") + publisher("plant", "    root: other\n"),
            (),
            (6, "`publishers.main.was`: plant is configured still"),
        ),
        (
            publisher("main", "    was: plant\n") + publisher("cloud", "    root: other\n    was: plant\n"),
            (),
            (11, "`publishers.cloud.was`: `publishers.main` takes the outbox of plant already"),
        ),
    ],
)
def test_the_outbox_of_a_former_name_goes_to_one_publisher(tmp_path, publishers, files, said):
    """And only where both are not there, and nobody uses it still."""
    (tmp_path / "data" / "outbox").mkdir(parents=True)
    for name in files:
        (tmp_path / "data" / "outbox" / f"{name}.sqlite").touch()
    text = {"agent.yaml": f"agent: {{id: gw, data_dir: ./data}}\npublishers:\n{publishers}"}
    if said is None:
        assert loaded(tmp_path, text).config.publishers["main"].was == "plant"
    else:
        (mistake,) = refused(tmp_path, text)
        assert (mistake.line, mistake.reason.startswith(said[1])) == (said[0], True), mistake
