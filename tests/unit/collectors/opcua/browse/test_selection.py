from __future__ import annotations

import pytest

from agent.collectors.opcua.browse.selection import enters
from agent.collectors.opcua.tag import OF_THE_SERVER, BrowseSettings


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


def test_what_a_server_holds_about_itself_is_left_out() -> None:
    """Aliases too: of a server of OPC UA 1.05 `Aliases/LastChange` has no value, and the device was never well."""
    left_out = BrowseSettings().exclude
    assert left_out == list(OF_THE_SERVER)
    assert {"Server/*", "Aliases/*"} <= set(left_out)
