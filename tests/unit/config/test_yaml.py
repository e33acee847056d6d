"""YAML 1.2, with places; nothing of YAML 1.1's traps."""

from __future__ import annotations

import math

import pytest
import yaml as pyyaml

from agent.config import yaml
from agent.config.located import Map, find
from agent.config.yaml import parse
from agent.core.errors import Mistake
from agent.settings.values import FromEnvironment

ENVIRON = {"NAME": "gw-01", "PORT": "8080", "EMPTY": "", "ODD": "${NAME}"}


def read(text: str) -> Map:
    """The mapping in a text without mistakes."""
    mistakes: list[Mistake] = []
    found = parse(text, "f.yaml", ENVIRON, mistakes)
    assert not mistakes, mistakes
    assert isinstance(found, Map)
    return found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("Yes", "Yes"),
        ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"),
        ("", None), ("~", None), ("null", None), ("Null", None), ("nil", "nil"),
        ("010", 10), ("0o10", 8), ("0x1F", 31), ("0b11", "0b11"), ("1_000", "1_000"), ("-0", 0), ("+5", 5),
        ("12:30", "12:30"), ("2026-11-22", "2026-11-22"), ("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("1.5E-3", 0.0015),
        (".inf", math.inf), ("-.INF", -math.inf), ("1.2.3", "1.2.3"), ("192.0.2.1", "192.0.2.1"),
        ("-x", "-x"), (".", "."),
        ("'1'", "1"), ('"true"', "true"), ("!!str 010", "010"), ("!!float 1", 1.0), ("!!int 0x10", 16),
        ("18446744073709551615", 2**64 - 1),
    ],
)  # fmt: skip
def test_scalars(written: str, value: object):
    """A scalar means what the core schema of YAML 1.2 says."""
    found = read(f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number():
    """`.nan` is a number that is none."""
    assert math.isnan(read("a: .nan")["a"])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NAME}", "gw-01"), ("'${NAME}'", "gw-01"), ("a-${NAME}-b", "a-gw-01-b"), ("${NAME}${PORT}", "gw-018080"),
        ("$${NAME}", "${NAME}"), ("'$${'", "${"), ("$NAME", "$NAME"), ("$$", "$$"),
        ("${EMPTY}", ""), ("${ODD}", "${NAME}"),
    ],
)  # fmt: skip
def test_environment(written: str, value: str):
    """Text may hold variables; what they hold is not looked at again."""
    assert read(f"a: {written}")["a"] == value


def test_only_a_whole_variable_may_be_a_secret():
    """Text that is partly written out is no secret out of the environment."""
    found = read("a: ${NAME}\nb: x${NAME}\nc: plain")
    assert isinstance(found["a"], FromEnvironment)
    assert not isinstance(found["b"], FromEnvironment)
    assert not isinstance(found["c"], FromEnvironment)


def test_keys_from_the_environment():
    """A key may come from the environment, too."""
    assert list(read("${NAME}: 1")) == ["gw-01"]


def test_places():
    """Every key and item knows its line; aliases and merges know where they were written."""
    text = "a:\n  b: [1,\n    2]\nc: &c\n  d: 1\ne:\n  <<: *c\n  f: 2\n"
    found = read(text)
    assert find(found, ("a", "b", 1)).place == ("f.yaml", 3)
    assert find(found, ("e", "d")).place == ("f.yaml", 5)
    assert find(found, ("e", "f")).place == ("f.yaml", 8)
    assert find(found, ("e", "nothing", "f")).path == ("e", "f")


def test_merge():
    """`<<` fills in what is not written: the first of several wins, one's own key always."""
    found = read("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  c: 3\n  <<: [*x, *y]\n")
    assert found["z"] == {"c": 3, "a": 1, "b": 1}


def test_quoted_merge_key_is_a_key():
    """Only a plain `<<` merges."""
    mistakes: list[Mistake] = []
    assert parse("'<<': 1", "f", {}, mistakes) == {"<<": 1}
    assert not mistakes


def test_the_slow_parser_agrees(monkeypatch):
    """Where PyYAML has no libyaml, its Python parser gives the same data and the same lines."""
    text = "a: &a {b: [1, yes, '2'], c: 010}\nd:\n- <<: *a\n  e: ${NAME}\n- !!str 5\n"
    fast = read(text)
    monkeypatch.setattr(yaml, "_Parser", pyyaml.SafeLoader)
    slow = read(text)
    assert slow == fast
    assert [slow.lines, slow["d"].lines, slow["d"][0].lines] == [fast.lines, fast["d"].lines, fast["d"][0].lines]


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "a: b: c", "a:\n\t- 1", "a: @x", "a: 1\n b: 2", "a: *x", "a: \x01"])
def test_the_slow_parser_says_mistakes_too(text: str, monkeypatch):
    """Without libyaml mistakes are told with a line as well."""
    monkeypatch.setattr(yaml, "_Parser", pyyaml.SafeLoader)
    mistakes: list[Mistake] = []
    assert parse(text, "f", {}, mistakes) is None
    assert [mistake.line is not None and mistake.line <= 2 for mistake in mistakes] == [True]


def test_all_of_one_text_at_once():
    """Mistakes that do not end a document are told together."""
    mistakes: list[Mistake] = []
    parse("a: ${NOPE}\na: 1\nb: !x 1\nc: {d: 1, d: 2}\n", "f", {}, mistakes)
    assert [mistake.line for mistake in mistakes] == [1, 2, 3, 4]
