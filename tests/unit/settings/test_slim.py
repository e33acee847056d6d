"""Slim models: equal, and small."""

from __future__ import annotations

import sys
import tracemalloc

from agent.collectors.modbus.tags.tag import ModbusTag
from agent.settings.slim import Slimmer
from agent.settings.tags import TagBase

KEYS = {"address": "holding:0", "type": "float32", "unit": "Cel", "range": {"min": -50, "max": 500}}


def test_a_slim_model_is_the_same():
    """Equal, with the same keys given, and as frozen and copyable as before."""
    tag = ModbusTag.model_validate(KEYS)
    slim = Slimmer().slim(ModbusTag.model_validate(KEYS))
    assert slim == tag
    assert slim.model_dump_json() == tag.model_dump_json()
    assert slim.model_fields_set == tag.model_fields_set
    assert slim.model_copy(update={"unit": "K"}) == tag.model_copy(update={"unit": "K"})
    assert slim != tag.model_copy(update={"unit": "K"})


def test_what_tags_have_in_common_is_kept_once():
    """Limits of the same numbers; not where a key was given in one and left out in the other."""
    slimmer = Slimmer()
    first, second = (slimmer.slim(ModbusTag.model_validate(KEYS)) for _ in range(2))
    other = slimmer.slim(ModbusTag.model_validate({**KEYS, "range": {"min": -50, "max": 500.5}}))
    assert first.range is second.range
    assert other.range is not None
    assert other.range.max == 500.5
    given, left_out = (
        slimmer.slim(TagBase.model_validate({"range": one})) for one in ({"min": 1}, {"min": 1, "max": None})
    )
    assert given.range is not None
    assert left_out.range is not None
    assert given.range.model_fields_set != left_out.range.model_fields_set


def test_a_tag_takes_little():
    """Less than half of what pydantic makes, or a Python keeps attributes in another way."""
    tags = [ModbusTag.model_validate(KEYS) for _ in range(200)]
    slimmer = Slimmer()
    tracemalloc.start()
    try:
        slim = [slimmer.slim(tag) for tag in tags]
        taken = tracemalloc.get_traced_memory()[0] / len(slim)
    finally:
        tracemalloc.stop()
    full = sys.getsizeof(tags[0].__dict__) + sys.getsizeof(tags[0].model_fields_set)
    assert taken < full / 2
