"""Whatever a configuration looks like: it loads, or it is refused with a file and a reason. Nothing else happens."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.config.loader import load
from agent.core.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"
REFERENCE = (CONFIGS / "agent.yaml").read_text(encoding="utf-8")
DEVICES = {path.name: path.read_text(encoding="utf-8") for path in sorted((CONFIGS / "devices").iterdir())}
WHOLE = REFERENCE.replace("include: [devices/*.yaml]", "").replace("devices: {}  ", "") + "\n".join(
    text.replace("tags_file: press-01.csv", "") if number == 0 else text.replace("devices:\n", "")
    for number, text in enumerate(text for name, text in sorted(DEVICES.items(), reverse=True) if name.endswith("yaml"))
)
JUNK = [
    "", " ", "\t", "\n", ":", "- ", "[", "]", "{", "}", "&a ", "*a", "!", "|", ">", "'", '"', "#", "${", "${X}", "%",
    "@", "null", "true", "yes", "0", "-1", "1e999", ".nan", "99999999999999999999", "0x1F", "\x00", "é", "設備",
    "<<: *a", "2026-11-22", "~", "a: b", "? ", "--- ", "...", "1s", "40001", "[]", "{}", "\ufeff", "\u2028", "!!int x",
]  # fmt: skip
SLOW = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(files: dict[str, bytes]) -> str:
    """What loading these files says; any exception but ConfigError fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_bytes(content)
        try:
            return load(Path(folder, "agent.yaml"), {"X": "x"}).hash
        except ConfigError as caught:
            error = caught
    assert error.mistakes
    for mistake in error.mistakes:
        assert mistake.reason
        assert mistake.line is None or mistake.line >= 1
        assert mistake.path.startswith(folder + os.sep)
        assert "cannot be understood" not in mistake.reason  # a validator tripped
    return str(error)


def test_the_whole_loads():
    """What the fuzzers start from is right."""
    assert len(outcome({"agent.yaml": WHOLE.encode()})) == 12


@SLOW
@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.sampled_from(JUNK))
def test_spliced(start: int, length: int, junk: str):
    """Any piece of the reference may be replaced by anything."""
    outcome({"agent.yaml": (WHOLE[:start] + junk + WHOLE[start + length :]).encode("utf-8", "surrogatepass")})


@SLOW
@given(st.data())
def test_values_replaced(data: st.DataObject):
    """Any value may be replaced by a value of another type."""
    lines = WHOLE.split("\n")
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if ":" in line.split("#")[0]]))
    key, _, _ = lines[number].partition(":")
    lines[number] = f"{key}: {data.draw(st.sampled_from(JUNK))}"
    outcome({"agent.yaml": "\n".join(lines).encode("utf-8", "surrogatepass")})


@SLOW
@given(st.data())
def test_lines_moved(data: st.DataObject):
    """Lines may be lost, doubled, moved or indented otherwise."""
    lines = WHOLE.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines.pop(at)
        for _ in range(data.draw(st.integers(0, 2))):
            indent = data.draw(st.sampled_from(["", " ", "    ", "\t"]))
            lines.insert(data.draw(st.integers(0, len(lines))), indent + line)
    outcome({"agent.yaml": "\n".join(lines).encode()})


@SLOW
@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbfagent: {id: gw}")
def test_bytes(content: bytes):
    """A file may hold any bytes."""
    outcome({"agent.yaml": content})


@SLOW
@given(st.integers(0, len(DEVICES["press-01.csv"])), st.integers(0, 20), st.sampled_from([*JUNK, ",", ";", '"', '""']))
def test_tables(start: int, length: int, junk: str):
    """A table of tags may hold anything, too."""
    table = DEVICES["press-01.csv"]
    outcome(
        {
            "agent.yaml": REFERENCE.encode(),
            "devices/press-01.yaml": DEVICES["press-01.yaml"].encode(),
            "devices/cnc-07.yaml": DEVICES["cnc-07.yaml"].encode(),
            "devices/press-01.csv": (table[:start] + junk + table[start + length :]).encode("utf-8", "surrogatepass"),
        }
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@SLOW
@given(
    st.sampled_from(["agent", "log", "http", "outbox", "publishers", "include", "devices"]),
    st.sampled_from(
        ["", "id", "a", "a.type", "a.url", "a.tags", "a.tags.t", "a.tags.t.address", "a.tags_file", "a.tls"]
    ),
    VALUES,
)
def test_structures(section: str, path: str, value: object):
    """Any structure may stand anywhere."""
    import json

    for step in reversed([step for step in path.split(".") if step]):
        value = {step: value, "type": "modbus" if section == "devices" else "mqtt"} if step != "t" else {step: value}
    text = f"agent: {{id: gw}}\n{section}: {json.dumps(value)}\n"
    outcome({"agent.yaml": text.encode("utf-8", "surrogatepass")})


def test_a_deep_alias_bomb_is_refused():
    """Aliases of aliases of aliases do not fill the memory."""
    text = "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "unfold" in outcome({"agent.yaml": (text + "agent: {id: gw}\n").encode()})


@pytest.mark.parametrize("name", [".", "missing.yaml", "a\nb.yaml"])
def test_no_file(name: str, tmp_path):
    """What is no file is a mistake, not a traceback."""
    with pytest.raises(ConfigError):
        load(tmp_path / name, {})
