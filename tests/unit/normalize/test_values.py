"""What becomes of a value and its status, by example."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from agent.core.flow import Answer, Sample
from agent.core.quality import number_of
from agent.normalize.rules import compile_rules
from agent.settings.tags import TagBase
from tests.unit.normalize.bench import T0, Bench, bad_of, value_of

# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [2**64 - 1, -(2**63), 9007199254740993, 0.1, True, "Schweißen", b"\0", [1, 2.5, "x"]])
def test_untouched(raw):
    """Without keys a value passes as it came, type and 64-bit exactness included."""
    value = value_of({}, raw)
    assert value == raw
    assert type(value) is type(raw)


@pytest.mark.parametrize(
    ("keys", "raw", "expected"),
    [
        ({"scale": 0.5}, 123, 61.5),
        ({"scale": 0.5, "offset": -10}, 123, 51.5),
        ({"offset": 273.15}, 0, 273.15),
        ({"scale": 10, "offset": 7}, 2**60, 10 * 2**60 + 7),
        ({"scale": 1, "offset": 0}, 2**64 - 1, 2**64 - 1),
        ({"scale": 1.0}, 2**64 - 1, 2**64 - 1),
        ({"scale": 0.1, "round": 1}, 3, 0.3),
        ({"round": 1}, 2.26, 2.3),
        ({"round": 0}, 2.6, 3.0),
        ({"round": 1}, 5, 5),
        ({"round": 0}, -0.0, -0.0),
        ({"scale": 1.0, "offset": 0.0, "round": 0}, 5, 5),
        ({"scale": 1.0, "round": 0}, 2**64 - 1, 2**64 - 1),
        ({"round": 1}, "text", "text"),
        ({"scale": 0.5}, [2, 4], [1.0, 2.0]),
        ({"range": {"min": 0, "max": 10}}, 10, 10),
        ({"range": {}}, 1e300, 1e300),
    ],
)
@pytest.mark.parametrize("tags", [1, 8])
def test_arithmetic(keys, raw, expected, tags):
    """Scale, offset, round; integers stay integers where all is integer, alone as in a warm column."""
    bench = Bench(*[keys] * tags)
    bench.warm(*[raw] * tags)
    for reading in bench.read(*[raw] * tags):
        assert repr(reading.value) == repr(expected)  # 5 is not 5.0, 0.0 is not -0.0


@pytest.mark.parametrize(
    ("keys", "raw", "code"),
    [
        ({}, None, "BadNoData"),
        ({}, math.nan, "BadOutOfRange"),
        ({}, math.inf, "BadOutOfRange"),
        ({}, [1.0, -math.inf], "BadOutOfRange"),
        ({}, 2**64, "BadOutOfRange"),
        ({"scale": 10}, 2**63, "BadOutOfRange"),
        ({"scale": 1e300}, 1e300, "BadOutOfRange"),
        ({"scale": 0.5}, 10**400, "BadOutOfRange"),
        ({"scale": 0.5}, "12", "BadTypeMismatch"),
        ({"scale": 0.5}, True, "BadTypeMismatch"),
        ({"offset": 1}, b"1", "BadTypeMismatch"),
        ({"range": {"min": 0}}, "12", "BadTypeMismatch"),
        ({}, object(), "BadDataEncodingUnsupported"),
        ({}, {"a": 1, "b": [1.0, math.nan]}, "BadOutOfRange"),
        ({}, {"a": {"b": 2**64}}, "BadOutOfRange"),
        ({"scale": 0.5}, {"a": 1}, "BadTypeMismatch"),
        ({}, "a\ud800", "BadDecodingError"),
        ({"null_values": [32768]}, 32768, "BadNoData"),
        ({"null_values": [32768], "scale": 0.1}, 32768, "BadNoData"),
        ({"null_values": {32768: "BadSensorFailure"}}, 32768, "BadSensorFailure"),
        ({"null_values": ["nan"]}, math.nan, "BadNoData"),
        ({"null_values": {math.nan: "BadSensorFailure"}}, math.nan, "BadSensorFailure"),
        ({"null_values": {"-inf": "BadSensorFailure"}}, -math.inf, "BadSensorFailure"),
        ({"null_values": [-9999.9]}, -9999.900390625, "BadNoData"),
        ({"null_values": ["N/A"]}, "N/A", "BadNoData"),
        ({"null_values": [32768]}, [1, 32768], "BadNoData"),
        ({"null_values": [32768], "range": {"max": 1}, "round": 1}, 32768.0, "BadNoData"),
    ],
)
def test_no_value(keys, raw, code):
    """What no message can carry or means "no value" is null and bad, with code and reason; nothing raises."""
    assert bad_of(keys, raw) == code


def test_sentinels_of_a_configuration_in_json():
    """JSON writes every key as text: it stands for the number it names, and for the text."""
    keys = {"null_values": {"32768": "BadSensorFailure", "-9999.9": "BadOutOfService"}}
    assert [bad_of(keys, raw) for raw in (32768, "32768")] == ["BadSensorFailure"] * 2
    assert bad_of(keys, struct.unpack("<f", struct.pack("<f", -9999.9))[0]) == "BadOutOfService"
    assert value_of(keys, 32767) == 32767


def test_sentinels_spare_booleans():
    """True is not the sentinel 1."""
    assert value_of({"null_values": [1, 0]}, True) is True


@pytest.mark.parametrize(("raw", "value"), [(101, 10.1), (-1, -0.1)])
def test_out_of_range(raw, value):
    """Outside its range a value is kept, uncertain."""
    (reading,) = Bench({"scale": 0.1, "round": 1, "range": {"min": 0, "max": 10}}).read(raw)
    assert (reading.value, reading.quality, reading.code) == (value, "uncertain", "UncertainEngineeringUnitsExceeded")
    assert reading.status == 0x40940000


def test_range_judges_what_is_published():
    """A value that is rounded into its range is in it."""
    assert value_of({"round": 1, "range": {"max": 10}}, 10.04) == 10.0


@pytest.mark.parametrize(("raw", "label"), [(0, "stopped"), (1, "running"), (True, "running"), (7, None), ("x", None)])
def test_enum(raw, label):
    """The number stays in value, its text goes into label; an unknown one has none."""
    (reading,) = Bench({"enum": {0: "stopped", 1: "running"}}).read(raw)
    assert (reading.value, reading.label) == (raw, label)


def test_unit():
    """The unit is the tag's, on bad readings too."""
    bench = Bench({"unit": "Cel"})
    assert [reading.unit for reading in bench.read(1) + bench.read(math.nan) + bench.lost()] == ["Cel"] * 3


# --- status -----------------------------------------------------------------------------------------------------------


def test_bad_status():
    """A bad status takes the value away and shows code, number and reason."""
    status = number_of("BadConfigurationError")
    (reading,) = Bench({}).read(5, status=status, reason="illegal data address")
    assert (reading.value, reading.quality, reading.code) == (None, "bad", "BadConfigurationError")
    assert (reading.status, reading.reason) == (status, "illegal data address")


def test_reasons_by_position():
    """Reasons belong to places in the answer; good readings have none."""
    bad = number_of("BadTimeout")
    readings = Bench({}, {}, {}).read(1, 2, 3, status=[0, bad, bad], reason={0: "no", 1: "slow"})
    assert [(reading.value, reading.reason) for reading in readings] == [(1, None), (None, "slow"), (None, None)]


def test_uncertain_status_keeps_the_value():
    """An uncertain status keeps the value, worked on as ever, and its own code also outside the range."""
    status = number_of("UncertainLastUsableValue")
    (reading,) = Bench({"scale": 10, "range": {"max": 1}}).read(5, status=status)
    assert (reading.value, reading.quality, reading.code) == (50, "uncertain", "UncertainLastUsableValue")


@pytest.mark.parametrize(
    ("status", "code"), [(0x00300000, "GoodClamped"), (0x00960000, "GoodLocalOverride"), (0x480, "Good")]
)
def test_good_but_not_plainly(status, code):
    """A good status that is not plain Good shows."""
    (reading,) = Bench({}).read(5, status=status)
    assert (reading.value, reading.quality, reading.code, reading.status) == (5, "good", code, status)


def test_clamped_out_of_range():
    """Out of range outranks a good condition."""
    (reading,) = Bench({"range": {"max": 1}}).read(5, status=0x00300000)
    assert (reading.quality, reading.code) == ("uncertain", "UncertainEngineeringUnitsExceeded")


def test_counts():
    """A batch counts its bad and uncertain readings and carries device, time and catalogue version."""
    bench = Bench({}, {"range": {"max": 1}}, {})
    batch = bench.batch(1, 5, math.nan)
    assert batch is not None
    assert (batch.device, batch.ts, batch.cat, batch.bad, batch.uncertain) == ("d", T0 + 3, 3, 1, 1)
    assert batch.clock is None


def test_unsynced_clock():
    """While the gateway's clock is not set, every batch says so."""
    bench = Bench({})
    bench.clock.synced = False
    batch = bench.batch(1)
    assert batch is not None
    assert batch.clock == "unsynced"


def test_labels_the_device_tells() -> None:
    """Its texts are used where the configuration has none, also for tags that were worked off as a column."""
    bench = Bench({}, {"enum": {1: "ours"}}, *[{}] * 6)
    bench.warm(*[1] * 8)
    now = bench.clock.now_ms()
    texts = {0: {1: "running"}, 1: {1: "theirs"}}
    answer = Answer(tags=bench.tags, values=[1, 1, *[3] * 6], ts=now)
    batch = bench.normalize(Sample(ts=now, answers=[answer], labels=texts))
    assert batch is not None
    labels = {reading.tag: reading.label for reading in batch.readings}
    assert labels == {"t0": "running", "t1": "ours"} | {f"t{n}": None for n in range(2, 8)}
    batch = bench.normalize(Sample(ts=now, answers=[answer], labels={0: {}, 1: {}}))
    assert batch is not None
    assert [reading.label for reading in batch.readings[:2]] == [None, "ours"], "its texts are void"


def test_tags_of_one_kind_share_their_rule():
    """And no others do: each key that says something else makes another one."""
    keys: list[dict[str, Any]] = [
        {}, {"unit": "Cel"}, {"scale": 1}, {"scale": 1.0}, {"offset": 2}, {"round": 1}, {"range": {"min": 0}},
        {"null_values": [7]}, {"enum": {1: "on"}}, {"deadband": 1}, {"deadband": {"percent": 1}},
        {"report": "on_change"}, {"max_silence": "60s"}, {"enabled": False},
    ]  # fmt: skip
    rules = compile_rules([TagBase.model_validate(one) for one in keys], report="every")
    assert len({id(rule) for rule in rules}) == len(keys)
    twice = compile_rules([TagBase.model_validate(one) for one in (*keys, *keys)], report="every")
    assert all(one is other for one, other in zip(twice[: len(keys)], twice[len(keys) :], strict=True))
