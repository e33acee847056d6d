"""Every mistake is reported with file, line, what was found and what to write; never a traceback."""

from __future__ import annotations

import re

import pytest

from agent.cli.check import check
from agent.config.loader import load
from agent.core.errors import ConfigError
from tests.unit.config.broken import BROKEN, Broken

ENVIRON = {"EDGE_TEXT": "top-secret"}


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_broken(broken: Broken, tmp_path):
    """A broken configuration is told by its line, a word of what is wrong, and what to write instead."""
    path = tmp_path / "agent.yaml"
    path.write_text(broken.text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    mistakes = caught.value.mistakes
    at = [m for m in mistakes if m.path == str(path) and m.line == broken.line]
    told = [m for m in at if broken.word in f"{m.reason} -> {m.hint}"]  # the path has the name of this test in it
    assert told, f"expected {broken.word!r} in line {broken.line}, got:\n" + "\n".join(map(str, mistakes))
    assert all(mistake.hint for mistake in mistakes), mistakes
    assert "hunter2" not in str(caught.value)
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["agent: {id: a b}", "agent: {id: gw}\noutbox: {when_full: block}"])
def test_one_mistake_is_told_once(text: str, tmp_path):
    """Neither a second time by what follows from it, nor with everything it may be on both sides of the arrow."""
    path = tmp_path / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON)
    (mistake,) = caught.value.mistakes
    assert str(mistake).count("drop_newest") <= 1


def test_there_are_a_hundred():
    """The table is as long as was promised."""
    assert len({(one.text, one.word) for one in BROKEN}) >= 100


@pytest.mark.parametrize("broken", BROKEN[::12], ids=str)
def test_check_exits_with_2(broken: Broken, tmp_path, capsys):
    """`check` writes each mistake as file:line:column to standard error, and its exit code is 2."""
    path = tmp_path / "agent.yaml"
    path.write_text(broken.text, encoding="utf-8")
    assert check(path) == 2
    said = capsys.readouterr().err
    assert re.search(rf"^{re.escape(str(path))}:{broken.line}(:[0-9]+)?: ", said, re.MULTILINE)
    assert "Traceback" not in said
