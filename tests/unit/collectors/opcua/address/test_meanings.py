"""What an index of a namespace means after the server has numbered them anew."""

from __future__ import annotations

import pytest

from agent.collectors.opcua.address.meanings import IndexMeanings
from agent.collectors.opcua.address.namespaces import Moved


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        ("ua own a b", {}),
        ("ua own b a", {2: Moved("a", 3), 3: Moved("b", 2)}),
        ("ua own new a b", {2: Moved("a", 3), 3: Moved("b", 4)}),
        ("ua own b", {2: Moved("a", None), 3: Moved("b", 2)}),
        ("ua own a2 b", {}),
        ("ua host a b", {}),
        ("ua own", {}),
        ("ua own b b", {2: Moved("a", None)}),
        ("", {}),
    ],
)
def test_after_a_restart(now: str, moved: dict[int, Moved]) -> None:
    """Followed where it is known, bad where it is gone for another, itself where it was renamed or nobody has it."""
    meanings = IndexMeanings()
    meanings.learn(["ua", "own", "a", "b"])
    meanings.read.update({2, 3})
    found = meanings.moved(now.split())
    assert found == moved
    meanings.learn(now.split())
    meanings.read.update({2, 3})
    assert meanings.moved(now.split()) == moved, "it is remembered, not learned anew"


def test_a_namespace_that_took_the_place_of_another_is_not_a_new_name_for_it() -> None:
    """It grew at each restart; then the one that is meant vanishes, and what has its index was there before."""
    meanings = IndexMeanings()
    for now in ("ua own a b", "ua own x a b", "ua own y x a b"):
        meanings.learn(now.split())
        meanings.read.update({2, 3})
    assert meanings.moved(["ua", "own", "y", "x", "c", "b"]) == {2: Moved("a", None), 3: Moved("b", 5)}


def test_an_index_that_is_written_anew_means_what_it_is_today() -> None:
    """Whoever corrects a configuration by what the server has means just that."""
    meanings = IndexMeanings()
    meanings.learn(["ua", "own", "a", "b"])
    meanings.read.update({2, 3})
    after = meanings.without([3])
    assert after.moved(["ua", "own", "x", "a", "b"]) == {2: Moved("a", 3)}
    assert meanings.moved(["ua", "own", "x", "a", "b"]) == {2: Moved("a", 3), 3: Moved("b", 4)}


def test_a_server_that_was_loading() -> None:
    """Where nothing was found under an index, a namespace that comes later may be the one it means."""
    meanings = IndexMeanings()
    meanings.learn(["ua", "own", "b"])
    assert meanings.moved(["ua", "own", "a", "b"]) == {}
    assert meanings.moved(["ua", "b", "own"]) == {1: Moved("own", 2), 2: Moved("b", 1)}, "nothing new came"
    meanings.learn(["ua", "own", "a", "b"])
    meanings.read.update({2})
    assert meanings.moved(["ua", "own", "new", "a", "b"]) == {2: Moved("a", 3)}
