"""Warnings get the file and line of the key they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.loader import load
from agent.config.located import Map
from agent.config.placed import placed
from agent.config.summary import warnings

TEXT = """\
agent: {id: gw, data_dir: data}
templates:
  meter:
    parameters: {unit: null}
    device: {type: modbus, url: "tcp://h:502", unit_id: "${unit}", tags: {t: {address: "holding:0", unit: "°C"}}}
devices:
  press:
    type: modbus
    url: tcp://h:502
    tags_file: tags.csv
    tags:
      oil.temp:
        address: "holding:1"
        scale: 0
      many: {address: "holding:2"}
  meter-2: {template: meter, with: {unit: 2}}
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Map:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(TEXT)
    Path("tags.csv").write_text("tag,address,unit\na,holding:7,Cel\nb,holding:8,psig\n")
    places = Map("a.yaml", 0)
    load(Path("a.yaml"), {}, places=places)
    return places


@pytest.mark.parametrize(
    ("words", "place", "rest"),
    [
        (
            "devices.press.tags.oil.temp.scale: 0; leave it out",
            "a.yaml:14",
            "`devices.press.tags.oil.temp.scale`: 0 -> leave it out",
        ),
        ("devices.press.timeout: long", "a.yaml:7", "`devices.press.timeout`: long"),
        (
            "devices.press.tags.b.unit (and 3 more tags): odd",
            "tags.csv:3",
            "`devices.press.tags.b.unit` (and 3 more tags): odd",
        ),
        (
            "devices.press.tags.…: 4 more like the last one",
            "a.yaml:11",
            "`devices.press.tags.…`: 4 more like the last one",
        ),
        ("devices.meter-2.tags.t.unit: '°C'", "a.yaml:5", "`devices.meter-2.tags.t.unit`: '°C'"),
        ("publishers: there are none; nothing is sent", "a.yaml", "publishers: there are none -> nothing is sent"),
        ("agent.data_dir: C: is a path", "a.yaml:1", "`agent.data_dir`: C: is a path"),
    ],
)
def test_a_warning_stands_where_its_key_does(written: Map, words: str, place: str, rest: str) -> None:
    """By the longest name there is, in the table or the template it came from; else in the part that lacks the key."""
    assert [str(one) for one in placed([words], written)] == [f"{place}: {rest}"]


def test_every_warning_of_a_configuration_has_a_place(written: Map) -> None:
    """Those about one tag its line, and none is lost."""
    told = warnings(load(Path("a.yaml"), {}).config)
    found = placed(told, written)
    assert len(found) == len(told)
    assert {("a.yaml", 14), ("tags.csv", 3), ("a.yaml", 5)} <= {(one.path, one.line) for one in found}
