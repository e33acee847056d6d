"""A device as it is shown."""

from __future__ import annotations

import json

import msgspec
import pytest

from agent.core.flow import Batch, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.runtime.status.shown import exact, newest, tags_of, telling, units, words
from agent.web.schema import Tags

NOW = 1_763_760_000_000
BIG = (1 << 63) + 1


def scene(*readings: Reading) -> Image:
    image = Image(AgentInfo("gw-01", "0.2", "abc"))
    tags = [
        TagInfo("serial", "string", interval="once"),
        TagInfo("state", "string", interval=1000),
        TagInfo("count", "uint64", unit="1", interval=1000),
        TagInfo("level", "float64", interval=1000),
        TagInfo("speed", "float64", interval=1000),
    ]
    image.add("press-01", location=["a"], tags=tags, cat=2, now=NOW)
    image.update(Batch("press-01", NOW, list(readings)))
    return image


def test_what_a_browser_would_round_is_text() -> None:
    """In lists, too; the rest stays what it is."""
    assert [exact(value) for value in (1 << 53, (1 << 53) + 1, -(1 << 53) - 1, True, 1.5, "x", None, [BIG, 1])] == [
        1 << 53, "9007199254740993", "-9007199254740993", True, 1.5, "x", None, [str(BIG), 1],
    ]  # fmt: skip


def test_the_shortest_form() -> None:
    """Of all tags that were read, or of those that are asked for."""
    device = scene(Reading("count", BIG, 5, "good"), Reading("level", None, 6, "bad")).devices["press-01"]
    assert newest(device, None) == {"count": (str(BIG), "good", 5), "level": (None, "bad", 6)}
    assert newest(device, ["level", "speed", "nobody"]) == {"level": (None, "bad", 6)}


def test_tags_in_the_order_of_the_catalogue() -> None:
    """One that was not read yet waits; a unit of the catalogue stands where the reading has none."""
    device = scene(Reading("count", BIG, 5, "good")).devices["press-01"]
    answer = tags_of(device, NOW, {"count": "holding:0"}.get)
    typed = msgspec.json.decode(json.dumps(answer), type=Tags)
    assert list(typed.tags) == ["serial", "state", "count", "level", "speed"]
    assert (typed.tags["count"].value, typed.tags["count"].unit, typed.tags["count"].address) == (
        str(BIG), "1", "holding:0",
    )  # fmt: skip
    assert (typed.tags["level"].quality, typed.tags["level"].code) == ("bad", "BadWaitingForInitialData")


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([], ["count", "level"]),
        ([Reading("count", "x", 1, "good")], ["level", "speed"]),
        ([Reading("state", True, 1, "good")], ["count", "level"]),
    ],
)
def test_the_first_numbers_that_change_stand_for_a_device(readings: list[Reading], expected: list[str]) -> None:
    """By their values, else by their types."""
    assert telling(scene(*readings).devices["press-01"]) == expected


def test_words_of_what_stands_for_a_device() -> None:
    """With the value they belong to; what has none is not named."""
    device = scene(Reading("count", 2, 5, "good", label="tool change"), Reading("level", 1.5, 5, "good")).devices
    assert words(device["press-01"], ["count", "level", "nobody"]) == {"count": (2, "tool change")}


def test_units_of_what_stands_for_a_device() -> None:
    """The catalogue's, or the reading's where it has one; none is not named."""
    device = scene(Reading("level", 1.5, 5, "good", unit="m")).devices["press-01"]
    assert units(device, telling(device)) == {"count": "1", "level": "m"}
