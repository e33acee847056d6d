from __future__ import annotations

import pytest

from agent.collectors.opcua.browse.selection import enters
from agent.collectors.opcua.tag import BrowseSettings


@pytest.mark.parametrize(
    ("include", "exclude", "name", "looked"),
    [
        (["*"], ["Server/*"], "Server", False),
        (["*"], ["Server/*"], "Server/x", False),
        (["*"], ["Server/*"], "Servers", True),
        (["*"], ["*/Speed"], "A", True),
        (["*"], ["A/*/Speed"], "A", True),
        (["Machine/*"], [], "Machine", True),
        (["Machine/*"], [], "Machine/Axis", True),
        (["Machine/*"], [], "Other", False),
        (["Machine/Axis/X", "B*"], [], "Machine", True),
        (["Machine/Axis/X", "B*"], [], "Machine/Axis/X", True),
        (["Machine/Axis/X", "B*"], [], "Machine/Pump", False),
        (["[ab]/*"], [], "c", True),
    ],
)
def test_nothing_is_looked_below_in_vain(include: list[str], exclude: list[str], name: str, *, looked: bool) -> None:
    """What a glob takes away whole, or none can fit, costs the server no question."""
    selection = BrowseSettings(include=include, exclude=exclude).selection(1.0, ())
    assert enters(name, selection) is looked
