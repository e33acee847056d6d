"""JSON without its lines says what yaml.py says, or leaves it to yaml.py."""

from __future__ import annotations

import json
import re
import string
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.located import List, Map
from agent.config.plain_json import plain_json
from agent.config.yaml import parse
from agent.core.errors import Mistake

#: Half of a character is none in YAML, and what is not printed JSON has to escape.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(string.punctuation + "\n\t0e."), max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(["<<", "~", "null", "010", "yes", "-", "a: b", "#"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s",:{}\[\]]+|\s+|.')  #: of JSON


def typed(value: object) -> object:
    """With the type of everything: 1, 1.0 and true are equal."""
    if isinstance(value, Map):
        return "map", [(typed(key), typed(one)) for key, one in value.items()]
    if isinstance(value, List):
        return "list", [typed(one) for one in value]
    return type(value), repr(value)


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.sampled_from([None, 0, 2]), st.booleans(), st.randoms())
def test_it_means_the_same(value, indent, escapes, random):
    """Whatever a program writes as JSON means what the YAML of it means, kinds and order included."""
    text = json.dumps(value, indent=indent, ensure_ascii=escapes)
    blanks = [random.choice(["", "", "", " ", "\n", "\n  ", "\t"]) for _ in TOKEN.findall(text)]
    text = "".join(chain.from_iterable(zip(TOKEN.findall(text), blanks, strict=True)))
    assert json.loads(text) == value
    quick = plain_json(text, "a.json")
    if quick is not None:
        mistakes: list[Mistake] = []
        assert typed(quick) == typed(parse(text, "a.json", {}, mistakes))
        assert not mistakes


def test_what_a_program_writes_is_read_so():
    """The shortest way is taken by what it is there for."""
    tags = {
        f"tag_{n}": {"address": f"holding:{n}", "unit": "\u00b0C", "range": {"min": 0, "max": 1e3}} for n in range(9)
    }
    for indent in (None, 1, 2):
        assert plain_json(json.dumps({"devices": {"a": {"tags": tags, "allow": [1, []]}}}, indent=indent), "a.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', '{"a": "${NAME}"}', '{"${NAME}": 1}', '{"a": NaN}',
        '{"a": -Infinity}', '{"a": 1} # so', '{"a": 1}\n---\n{}', "{a: 1}", "{'a': 1}", '{"a": 1,}', '{"a": 010}',
        '{"a": &b 1}', '["a"]', '"a"', "a: 1", "", '{"a": "\\ud83d\\ude00"}', '{"a": "\u2028"}', '{"a": "\x7f"}',
        '{"a"\n  : 1}', '{"' + "a" * 200 + '": 1}', '{"a": ' + " " * 2000 + "1}", '{"x-a": 1}', '{"templates": {}}',
        '{"a": "\\u0024{NAME}"}', '{"a": "$\\u007bNAME}"}', '{"$\\u007BNAME}": 1}', '{"a": -1' + "0" * 399 + "}",
        '{"a": [1' + "0" * 400 + "]}", '{"a": "b\nc"}', '{"a": ' + "[" * 100_000, '{"a": 0x1F}', '{"a": .5}',
    ],
)  # fmt: skip
def test_what_is_more_than_json_is_left(text):
    """What this is no JSON, is wrong, or is to be filled in."""
    assert plain_json(text, "a.json") is None
