from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.address.namespaces import Moved, Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress, parse_node_id
from agent.collectors.opcua.address.paths import BrowsePath, parse_path


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("i=2258", NodeAddress(0, 2258)),
        ("ns=2;i=5", NodeAddress(2, 5)),
        ("ns=0;i=4294967295", NodeAddress(0, 4294967295)),
        ("ns=65535;s=Motor", NodeAddress(65535, "Motor")),
        ('ns=3;s="DB 1"."speed"', NodeAddress(3, '"DB 1"."speed"')),
        ("ns=2;s=a;b=c;i=5", NodeAddress(2, "a;b=c;i=5")),
        ("s= leading blank", NodeAddress(0, " leading blank")),
        ("nsu=urn:acme:cnc;s=Spindle.Speed", NodeAddress("urn:acme:cnc", "Spindle.Speed")),
        ("nsu=http://acme.com/a;b/;i=7", NodeAddress("http://acme.com/a;b/", 7)),
        ("nsu=urn:a%3Bi=5%25;s=x", NodeAddress("urn:a;i=5%", "x")),
        (
            "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            NodeAddress(1, uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a")),
        ),
        ("ns=1;b=AP8=", NodeAddress(1, b"\x00\xff")),
    ],
)
def test_what_the_standard_writes_is_understood(text: str, address: NodeAddress) -> None:
    """Every form of the standard's text notation, with names that look like notation."""
    assert parse_node_id(text) == address
    assert parse_node_id(address.text) == address


@pytest.mark.parametrize(
    ("text", "meant"),
    [("ns=2;Motor", "ns=2;s=Motor"), ("2:Motor", "ns=2;s=Motor"), ("2!7", "ns=2;i=7"), ("ns:2;s:M", "ns=2;s=M"),
     ("ns=2,s=M", "ns=2;s=M"), ("ns=2;i= 5", "ns=2;i=5")],
)  # fmt: skip
def test_a_node_id_as_others_write_it(text: str, meant: str) -> None:
    """The hint is a node id."""
    with pytest.raises(ValueError, match="is not a node id") as caught:
        parse_node_id(text)
    assert str(caught.value).endswith(f'; write "{meant}"')
    parse_node_id(meant)


@pytest.mark.parametrize(
    "text",
    ["", "Motor", "ns=2", "ns=2;", "ns=x;i=5", "ns=-1;i=5", "ns=65536;i=5", "i=", "i=x", "i=-1", "i=4294967296", "s=",
     "nsu=urn:a", "nsu=;i=5", "nsu=urn:a;", "g=1234", "b=", "b=?", "i=5;ns=2", "i=²"],
)  # fmt: skip
def test_what_is_no_node_id_is_refused_with_a_hint(text: str) -> None:
    """The message shows what was found and what to write."""
    with pytest.raises(ValueError, match="is not a node id") as caught:
        parse_node_id(text)
    assert repr(text) in str(caught.value)
    assert "nsu=URI;s=NAME" in str(caught.value)


def test_a_namespace_uri_is_looked_up() -> None:
    """An index is used as it is; a URI is where the server has it today, or nowhere."""
    assert parse_node_id("ns=7;i=1").index_in(Namespaces()) == 7
    assert parse_node_id("nsu=urn:b;i=1").index_in(Namespaces(["urn:0", "urn:a", "urn:b"])) == 2
    assert parse_node_id("nsu=urn:c;i=1").index_in(Namespaces(["urn:0"])) is None


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Nothing but ValueError comes out."""
    try:
        parse_node_id(text)
    except ValueError:
        return
    assert "=" in text


@given(st.integers(0, 65535), st.text(min_size=1, max_size=30))
def test_every_name_survives(index: int, name: str) -> None:
    """A string identifier is taken as it stands, whatever is in it."""
    assert parse_node_id(f"ns={index};s={name}") == NodeAddress(index, name)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Objects/2:Machine/2:Spindle", BrowsePath(85, ((2, "Machine"), (2, "Spindle")))),
        ("/Objects/Server/ServerStatus", BrowsePath(85, ((0, "Server"), (0, "ServerStatus")))),
        ("2:Machine", BrowsePath(85, ((2, "Machine"),))),
        ("Root/Views/3:All", BrowsePath(84, ((0, "Views"), (3, "All")))),
        (
            "Objects/nsu=http://acme.com/cnc/;Machine/4:x",
            BrowsePath(85, (("http://acme.com/cnc/", "Machine"), (4, "x"))),
        ),
        ("2:Speed &//", BrowsePath(85, ((2, "Speed /"),))),
        ("nsu=urn:a%3Bb;X", BrowsePath(85, (("urn:a;b", "X"),))),
        ("2:a&/b/2:c&&d/1&:x/2:1&:x", BrowsePath(85, ((2, "a/b"), (2, "c&d"), (0, "1:x"), (2, "1:x")))),
    ],
)
def test_browse_paths(text: str, path: BrowsePath) -> None:
    """From Objects unless it says otherwise; `&` takes the meaning from what follows it."""
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", "/", "Objects", "Objects//2:x", "nsu=urn:x", "nsu=;x", "2:", "Objects/2:", "2:a&", "70000:x"]
)
def test_ways_that_lead_nowhere(text: str) -> None:
    """The mistake says what to write."""
    with pytest.raises(ValueError, match="Objects/2:Machine"):
        parse_path(text)


def test_names_of_a_path_get_todays_indexes() -> None:
    """A URI the server does not know is named."""
    path = parse_path("nsu=urn:b;x/7:y")
    assert path.names_in(Namespaces(["ua", "urn:b"])) == [(1, "x"), (7, "y")]
    assert path.names_in(Namespaces(["ua"])) == "urn:b"


def test_an_index_that_meant_another_namespace_is_followed_in_paths_and_roots() -> None:
    """Whatever is written with it; where that namespace is gone the reason names it, and what to write."""
    moved = Namespaces(["ua", "own", "b", "a"], {2: Moved("a", 3)})
    assert parse_path("2:x/3:y").names_in(moved) == [(3, "x"), (3, "y")]
    assert parse_node_id("ns=2;i=1").index_in(moved) == 3
    gone = Namespaces(["ua", "own", "b"], {2: Moved("a", None)})
    assert parse_path("2:x/1:y").names_in(gone) == 2
    assert gone.trouble(2) == (
        "ns=2 meant the namespace a, which the server does not know now -> write nsu=b if that is meant"
    )
