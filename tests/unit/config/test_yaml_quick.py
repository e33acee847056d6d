"""The quick twin reads as the slow one does, or leaves it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import yaml_quick
from agent.config.located import List, Map
from agent.config.yaml import parse_slowly
from agent.core.errors import Mistake

ENVIRON = {"NAME": "gw-01", "EMPTY": ""}
REPOSITORY = Path(__file__).parents[3]

DOCUMENTS = [
    """\
agent: {id: gw-01, location: [acme, "hall 3"], data_dir: ./data}  # said once
publishers:
  plant: {type: mqtt, url: "mqtts://${NAME}:8883", tls: {}}

devices:
  press-01:
    type: modbus
    url: tcp://10.0.0.1:502
    allow:
    - 10.0.0.0/8
    tags:
      Oil temperature:
        address: holding:0
        range:
          min: -50
          max: 1.5e2
      level: {address: input:2, type: uint16, enum: {0: "off", 1: on}, null_values: [32768, -1]}
      empty:
    include:
      - devices/*.yaml
      - [a, {b: c}]
""",
    '{"a": {"b": [1, -2.5, true, null, "x y"],\n  "c": {}, "d": []\n }, "e": "${EMPTY}"}\n',
    "---\na: 1\nb:\n  c: x # y\n  'd': 'e'\n",
]
PIECES = [
    " ", "  ", "\n", "\n  ", "\n- ", "\n  - ", "a", "key", ":", ": ", " :", "- ", "-", "{", "}", "[", "]", ", ", ",",
    '"', "'", "#", " #", "1", "-50", "0x10", "0o7", ".nan", "true", "null", "~", "<<", "&a ", "*a", "|", ">", "?", "? ",
    "%", "@", "!", "!!str ", "${NAME}", "${", "$${", "$", "\\", "é", "\x85", "\u2028", "\xa0", "---", "...", "\t", "\r",
    "=", "x://y:1", "x y", "a: 1", "a:\n", "()", "+", "/", ".", "templates", "9" * 401, "k" * 1100, "e5", "_", "\ufeff",
]  # fmt: skip


def compare(text: str) -> bool:
    """Whether the quick twin read it; fails where the slow one does otherwise."""
    quick = yaml_quick.parse(text, "f.yaml", ENVIRON)
    if quick is None:
        return False
    mistakes: list[Mistake] = []
    slow = parse_slowly(text, "f.yaml", ENVIRON, mistakes)
    assert not mistakes
    assert _told(quick) == _told(slow)
    return True


def _told(value: object) -> object:
    """Everything that is known of a value: types, order, places, what came out of the environment."""
    if isinstance(value, Map):
        inside = [(_told(key), value.place(key), _told(one)) for key, one in value.items()]
        return "map", value.file, value.line, inside, value.raw
    if isinstance(value, List):
        items = [(value.place(at), _told(one)) for at, one in enumerate(value)]
        return "list", value.file, value.line, items, value.raw
    return type(value), repr(value)


@pytest.mark.parametrize("text", DOCUMENTS)
def test_what_it_is_made_for(text: str):
    """It reads what configurations are made of."""
    assert compare(text)


def test_our_own_files():
    """Of the files that come with the agent it reads most."""
    files = [*REPOSITORY.glob("configs/**/*.yaml"), *REPOSITORY.glob("deploy/**/*.yaml")]
    read = [file for file in files if compare(file.read_text(encoding="utf-8"))]
    assert len(read) > len(files) / 2


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text(text: str):
    """It never reads a text as the slow one does not."""
    compare(text)


@settings(max_examples=250)
@given(st.data())
def test_a_document_with_slips(data: st.DataObject):
    """Nor one that is nearly right."""
    text = data.draw(st.sampled_from(DOCUMENTS))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = at + data.draw(st.integers(0, 4))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    compare(text)
