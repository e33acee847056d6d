"""Other tags over a connection that stands: which stay, which come, which go, and where they are afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.plan import ConnectionPlan, indexed, written_anew
from agent.collectors.opcua.retag import Renumbering, TagChange, tag_change
from agent.core.flow import Answer, Loss, Sample


def plan(tags: dict[str, Any], **keys: Any) -> ConnectionPlan:
    """The plan of a device with these tags."""
    document = {"type": "opcua", "url": "opc.tcp://127.0.0.1:4840", "interval": "1s", "tags": tags} | keys
    return OpcUaConfig.model_validate(document).plan("cnc", "gw")


def node(number: int, **keys: Any) -> dict[str, Any]:
    return {"node": f"i={number}"} | keys


def change(live: ConnectionPlan, wanted: ConnectionPlan) -> TagChange:
    found = tag_change(live, wanted)
    assert found is not None
    return found


def test_what_stays_keeps_its_place_on_the_connection() -> None:
    """What goes leaves a hole, what comes and what changed stands behind; again and again."""
    first = plan({"a": node(1), "b": node(2), "c": node(3)})
    found = change(first, plan({"new": node(9), "c": node(3), "b": node(2, sampling_interval="5s")}))
    assert [point.name for point in found.gone] == ["a", "b"]
    assert [(point.name, point.position) for point in found.come] == [("new", 3), ("b", 4)]
    assert found.places == {3: 0, 2: 1, 4: 2}
    assert {position: point.name for position, point in found.plan.points.items()} == {2: "c", 3: "new", 4: "b"}
    again = change(found.plan, plan({"b": node(2, sampling_interval="5s"), "a": node(1)}))
    assert [point.name for point in again.gone] == ["c", "new"]
    assert again.places == {4: 0, 5: 1}
    assert not change(again.plan, plan({"b": node(2, sampling_interval="5s"), "a": node(1)})).come


@pytest.mark.parametrize(
    "wanted",
    [
        {"tags": {"a": node(1, interval="5s")}},
        {"tags": {"a": node(1)}, "events": {"alarms": {"node": "i=2253"}}},
        {"tags": {"a": node(1)}, "browse": {}},
        {"tags": {"a": node(1)}, "backfill": True},
    ],
    ids=["another rhythm", "events", "browse", "backfill"],
)
def test_what_needs_another_connection(wanted: dict[str, Any]) -> None:
    """A rhythm no tag has yet, and all that is tied to positions in more places."""
    assert tag_change(plan({"a": node(1)}), plan(**wanted)) is None


def test_which_indexes_of_namespaces_are_written_anew() -> None:
    """Those that a tag which stays uses as well mean what they meant."""
    before = plan({"a": {"node": "ns=2;i=1"}, "b": {"node": "ns=3;i=1"}, "c": {"node": "nsu=urn:c;i=1"}})
    moved = plan({"a": {"node": "ns=3;i=1"}, "b": {"node": "ns=4;i=1"}, "c": {"node": "nsu=urn:c;i=1"}})
    had = {use for _, use in indexed(before)}
    assert written_anew(had, indexed(moved)) == {3, 4}
    assert written_anew(had, indexed(plan({"a": {"node": "ns=3;i=1"}, "b": {"node": "ns=3;i=1"}}))) == set()


def test_indexes_are_written_in_paths_roots_and_notifiers_too() -> None:
    """Those of the standard's own nodes mean the same everywhere."""
    tags = {"a": {"path": "Objects/2:Machine/3:Speed"}, "b": {"node": "i=2258"}}
    found = plan(tags, browse={"root": "ns=4;s=x"}, events={"alarms": {"node": "ns=5;s=y"}})
    assert {index for index, _ in indexed(found)} == {2, 3, 4, 5}


def test_what_is_handed_on_counts_as_the_new_table() -> None:
    """Values, status, source times, reasons, losses, types and texts move; those of tags that are gone are left out."""
    renumber = Renumbering({2: 0, 0: 1})
    answer = Answer((0, 1, 2), [10, 11, 12], 5, status=[0, 1, 2], src=[7, 8, 9], reason={1: "gone", 2: "here"})
    sample = Sample(
        ts=5,
        answers=[answer, Answer((1,), [1], 5), Answer((2, 0), [1, 2], 5)],
        losses=[Loss(1, 2, "x", (1,)), Loss(1, 2, "y", (1, 2)), Loss(1, 2, "z")],
        types={1: "int16", 2: "int32"},
        labels={0: {1: "on"}},
        unconfirmed=frozenset({1, 2}),
    )
    moved = renumber(sample)
    assert moved.answers == [
        Answer((1, 0), [10, 12], 5, status=[0, 2], src=[7, 9], reason={1: "here"}),
        Answer((0, 1), [1, 2], 5),
    ]
    assert moved.losses == [Loss(1, 2, "y", (0,)), Loss(1, 2, "z")]
    assert (moved.types, moved.labels, moved.unconfirmed) == ({0: "int32"}, {1: {1: "on"}}, frozenset({0}))
    assert renumber(sample).answers[1].tags is moved.answers[1].tags
