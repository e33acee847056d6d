"""Each rule of the normalizer by example."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from agent.core.flow import Answer, Batch, Reading, Sample
from agent.core.quality import number_of
from agent.normalize import compile_normalizer
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock

T0 = 1_763_760_000_000
GOOD = 0


class Bench:
    """One device with given tags, read at a second's pace."""

    def __init__(self, *tags: dict[str, Any], **options: Any) -> None:
        self.clock = ManualClock(T0)
        table = {f"t{n}": TagBase.model_validate(keys) for n, keys in enumerate(tags)}
        self.tags = tuple(range(len(table)))
        self.normalize = compile_normalizer("d", table, cat=lambda: 3, clock=self.clock, **options)

    def wait(self, seconds: float = 1.0) -> None:
        """Time passes; nobody sleeps on this clock."""
        self.clock._move_to(self.clock.monotonic() + seconds)

    def batch(self, *values: Any, tags: tuple[int, ...] | None = None, **columns: Any) -> Batch | None:
        """One answer, arrived now."""
        now = self.clock.now_ms()
        answer = Answer(tags=self.tags if tags is None else tags, values=list(values), ts=now, **columns)
        return self.normalize(Sample(ts=now + 3, answers=[answer]))

    def read(self, *values: Any, **columns: Any) -> list[Reading]:
        """Readings of one answer."""
        batch = self.batch(*values, **columns)
        return [] if batch is None else batch.readings

    def warm(self, *values: Any, **columns: Any) -> None:
        """Three scans, so that the column is compiled and past its first readings."""
        for _ in range(3):
            self.read(*values, **columns)
            self.wait()

    def lost(self, reason: str = "no route") -> list[Reading]:
        """The device is lost now."""
        batch = self.normalize(Sample.lost(reason, self.clock.now_ms()))
        return [] if batch is None else batch.readings

    def quiet(self) -> list[Reading]:
        """The subscription says: unchanged."""
        batch = self.normalize(Sample(ts=self.clock.now_ms()))
        return [] if batch is None else batch.readings


def value_of(keys: dict[str, Any], raw: Any) -> Any:
    """The value of `raw` under one tag's keys, which must be good."""
    (reading,) = Bench(keys).read(raw)
    assert reading.quality == "good", reading
    return reading.value


def bad_of(keys: dict[str, Any], raw: Any) -> str | None:
    """The code of `raw` under one tag's keys, which must be bad and without a value."""
    (reading,) = Bench(keys).read(raw)
    assert (reading.quality, reading.value) == ("bad", None)
    assert reading.reason
    assert reading.status == number_of(reading.code or "")
    return reading.code


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


# --- ts, src, why -----------------------------------------------------------------------------------------------------


def test_without_source_time():
    """Its ts is when the answer arrived; the first reading is initial, the next ordinary."""
    bench = Bench({})
    first = bench.read(1)
    bench.wait()
    second = bench.read(1)
    assert [(reading.ts, reading.src, reading.why) for reading in first + second] == [
        (T0, None, "initial"),
        (T0 + 1000, None, None),
    ]


@pytest.mark.parametrize("tags", [1, 8])
def test_with_source_time(tags):
    """The source's time is ts; the first reading has the agent's and keeps the source's in src. All paths agree."""
    bench = Bench(*[{}] * tags)
    said = []
    for n in range(4):
        said += bench.read(*[n] * tags, src=[T0 - 50 + n] * tags)[:1]
        bench.wait()
    assert [(reading.ts, reading.src, reading.why) for reading in said] == [
        (T0, T0 - 50, "initial"),
        (T0, T0 - 49, None),  # not before the first one's ts
        (T0, T0 - 48, None),
        (T0, T0 - 47, None),
    ]
    later = bench.read(*[9] * tags, src=[T0 + 3999] * tags)
    assert {(reading.ts, reading.src) for reading in later} == {(T0 + 3999, None)}


@pytest.mark.parametrize("tags", [1, 8])
def test_a_source_time_that_is_not_believed_is_only_shown(tags: int) -> None:
    """The reading has the time it arrived; the source's stays in src, through heartbeats and outages too."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    doubted = bench.read(*[2] * tags, doubted=[T0 + 9_000_000] * tags)
    assert {(reading.value, reading.ts, reading.src) for reading in doubted} == {(2, T0 + 3000, T0 + 9_000_000)}
    assert {reading.src for reading in bench.lost()} == {T0 + 9_000_000}
    bench.warm(*[2] * tags)
    now = bench.clock.now_ms()
    mixed = bench.read(*[3] * tags, src=[now - 5] * tags, doubted=[None] * (tags - 1) + [0])
    assert [(reading.ts, reading.src) for reading in mixed] == [(now - 5, None)] * (tags - 1) + [(now, 0)]


@pytest.mark.parametrize("tags", [1, 8])
def test_ts_never_decreases(tags):
    """A wall clock set back moves no ts back, with and without source times, warm or cold."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    last = bench.clock.now_ms() - 1000
    bench.clock.step_wall(-60)
    assert {(reading.ts, reading.src) for reading in bench.read(*[2] * tags)} == {(last, None)}
    early = last - 5000
    assert {(reading.ts, reading.src) for reading in bench.read(*[3] * tags, src=[early] * tags)} == {(last, early)}


@pytest.mark.parametrize("tags", [1, 8])
def test_source_ahead_of_our_clock(tags):
    """A source time later than our clock stays, and what follows does not fall behind it."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    (ahead, *_) = bench.read(*[2] * tags, src=[T0 + 50_000] * tags)
    (offline, *_) = bench.lost()
    (back, *_) = bench.read(*[2] * tags)
    assert [(reading.ts, reading.why) for reading in (ahead, offline, back)] == [
        (T0 + 50_000, None),
        (T0 + 50_000, "offline"),
        (T0 + 50_000, "recovered"),
    ]


def test_overlapping_columns():
    """A tag that occurs in two columns has one past."""
    bench = Bench(*[{}] * 8)
    late = [T0 + 50_000] * 8
    some = bench.tags[:4]
    for _ in range(3):
        bench.read(*[1] * 8, src=late)
        assert {reading.ts for reading in bench.read(1, 1, 1, 1, tags=some)} <= {T0, T0 + 50_000}
    assert {reading.ts for reading in bench.read(1, 1, 1, 1, tags=some)} == {T0 + 50_000}


def test_source_time_is_forgotten():
    """A device that stops sending source times has none in what follows."""
    bench = Bench(*[{}] * 8)
    bench.warm(*[1] * 8)
    bench.warm(*[1] * 8, src=[T0 + 5000] * 8)
    bench.warm(*[1] * 8)
    assert {reading.src for reading in bench.lost()} == {None}


@pytest.mark.parametrize("tags", [1, 8])
def test_lost(tags):
    """A lost device: one bad reading per tag, null, offline, with code and reason; a second loss says nothing."""
    bench = Bench(*[{"unit": "bar"}] * tags)
    bench.warm(*[5] * tags)
    readings = bench.lost("connection refused")
    assert [reading.tag for reading in readings] == [f"t{n}" for n in range(tags)]
    assert {(reading.value, reading.ts, reading.src, reading.why) for reading in readings} == {
        (None, T0 + 3000, None, "offline")
    }
    assert {(reading.quality, reading.code, reading.status, reading.reason) for reading in readings} == {
        ("bad", "BadNoCommunication", 0x80310000, "connection refused")
    }
    bench.wait()
    assert bench.lost("still refused") == []


@pytest.mark.parametrize("tags", [1, 8])
@pytest.mark.parametrize("keys", [{}, {"scale": 1}, {"report": "on_change"}, {"deadband": 100}])
def test_recovered(tags, keys):
    """After an outage every tag is restated once, also unchanged, also where its source time is older than that."""
    bench = Bench(*[keys] * tags)
    old = [T0 - 999] * tags
    bench.warm(*[5] * tags, src=old)
    (offline, *_) = bench.lost()
    assert (offline.src, offline.ts) == (T0 - 999, T0 + 3000)
    bench.wait()
    back = bench.read(*[5] * tags, src=old)
    assert {(reading.value, reading.ts, reading.src, reading.why) for reading in back} == {
        (5, T0 + 4000, T0 - 999, "recovered")
    }
    assert len(back) == tags
    again = bench.read(*[5] * tags, src=old)
    assert {reading.why for reading in again} <= {None}


@pytest.mark.parametrize("tags", [1, 8])
def test_recovered_without_source_time(tags):
    """The same where the protocol carries no times."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[5] * tags)
    bench.lost()
    bench.wait()
    assert [(r.ts, r.src, r.why) for r in bench.read(*[5] * tags)] == [(T0 + 4000, None, "recovered")] * tags


def test_recovered_one_by_one():
    """Each tag is restated with its own first answer, good or bad; a new loss says all of them again."""
    bench = Bench({}, {})
    bench.read(1, 2)
    bench.lost()
    (first,) = bench.read(1, tags=(0,), status=number_of("BadDeviceFailure"))
    assert (first.why, first.quality) == ("recovered", "bad")
    assert [reading.tag for reading in bench.lost("again")] == ["t0", "t1"]
    assert [reading.why for reading in bench.read(1, 2)] == ["recovered", "recovered"]


def test_lost_before_the_first_answer():
    """A device that never answered is offline, then recovered; nothing is initial twice."""
    bench = Bench({})
    assert [reading.why for reading in bench.lost() + bench.read(1) + bench.read(1)] == ["offline", "recovered", None]


def test_disabled():
    """A disabled tag is said once as out of service; outages and recoveries do not touch it."""
    bench = Bench({"enabled": False}, {})
    (reading,) = bench.read(None, tags=(0,), status=number_of("BadOutOfService"))
    assert (reading.value, reading.quality, reading.code, reading.why) == (None, "bad", "BadOutOfService", "disabled")
    assert [reading.tag for reading in bench.lost()] == ["t1"]


def test_out_of_service_by_the_device():
    """A server's own BadOutOfService is an ordinary bad reading."""
    bench = Bench({})
    bench.read(1)
    (reading,) = bench.read(None, status=number_of("BadOutOfService"))
    assert (reading.quality, reading.why) == ("bad", None)


# --- report, deadband, max_silence ------------------------------------------------------------------------------------


def said(bench: Bench, *raws: Any) -> list[Any]:
    """Which of the values get said."""
    return [reading.value for raw in raws for reading in bench.read(raw)]


def test_every():
    """By default every reading is said, good or bad."""
    bench = Bench({})
    assert said(bench, 1, 1, math.nan, math.nan, 1) == [1, 1, None, None, 1]


@pytest.mark.parametrize("options", [{}, {"default_report": "on_change"}])
def test_on_change(options):
    """Only changes are said."""
    bench = Bench({} if options else {"report": "on_change"}, **options)
    assert said(bench, 1, 1, 2, 2, "x", "x", [1], [1], [2]) == [1, 2, "x", [1], [2]]


def test_deadband():
    """A deadband is measured from the last reported value, so a slow drift is said too; its own width is a change."""
    bench = Bench({"deadband": 1})
    assert said(bench, 10, 10.5, 10.9, 11, 11.5, 10.5, 10) == [10, 11, 10]


def test_percent_deadband():
    """Percent of the last reported value; from zero any movement counts."""
    bench = Bench({"deadband": {"percent": 10}})
    assert said(bench, 100, 105, 110, 120, 121, 0, 0, 0.001) == [100, 110, 121, 0, 0.001]


def test_deadband_after_scaling():
    """A deadband is in the tag's unit."""
    bench = Bench({"deadband": 1, "scale": 0.5})
    assert said(bench, 10, 11, 12) == [5.0, 6.0]


def test_quality_changes_are_said_at_once():
    """A change of quality or code is said; a changed reason or value of something bad is not."""
    bench = Bench({"report": "on_change"})
    timeout, failure = number_of("BadTimeout"), number_of("BadDeviceFailure")
    readings = bench.read(1) + bench.read(1, status=timeout, reason="a") + bench.read(1, status=timeout, reason="b")
    readings += bench.read(1, status=failure) + bench.read(1) + bench.read(1) + bench.read(1, status=0x00300000)
    readings += bench.read(1, status=0x00300000) + bench.read(1)
    codes = [reading.code for reading in readings]
    assert codes == [None, "BadTimeout", "BadDeviceFailure", None, "GoodClamped", None]


def test_heartbeat_of_a_quiet_subscription():
    """An unchanged value is said again after max_silence with the agent's time, its own source time in src."""
    bench = Bench({"max_silence": "10s"})
    bench.read(5, src=[T0 - 70])
    bench.wait(9)
    assert bench.quiet() == []
    bench.wait(1)
    (reading,) = bench.quiet()
    assert (reading.value, reading.ts, reading.src, reading.why) == (5, T0 + 10_000, T0 - 70, "heartbeat")
    bench.wait(9.5)
    assert bench.quiet() == []
    bench.wait(0.5)
    assert len(bench.quiet()) == 1


def test_heartbeat_of_a_polled_tag():
    """A polled value that does not change is said again with its newest answer, which needs no src."""
    bench = Bench({"deadband": 1, "max_silence": "2s"})
    readings = []
    for raw in (5, 5.1, 5.2, 5.3, 5.4):
        readings += bench.read(raw)
        bench.wait()
    assert [(reading.value, reading.ts - T0, reading.src, reading.why) for reading in readings] == [
        (5, 0, None, "initial"),
        (5.2, 2000, None, "heartbeat"),
        (5.4, 4000, None, "heartbeat"),
    ]


def test_heartbeat_between_polls():
    """Any sample of the device lets a silent tag speak; src says when its value was read."""
    bench = Bench({"max_silence": "2s"}, {})
    bench.read(5, 1)
    bench.wait(2)
    other, silent = bench.read(2, tags=(1,))
    assert (other.tag, other.why) == ("t1", None)
    assert (silent.tag, silent.value, silent.ts, silent.src, silent.why) == ("t0", 5, T0 + 2003, T0, "heartbeat")


def test_heartbeat_says_the_newest_value():
    """What a deadband kept back is the newest value when a heartbeat comes, with its own time."""
    bench = Bench({"deadband": 1, "max_silence": "2s"})
    bench.read(5.0, src=[T0])
    bench.wait()
    assert bench.read(5.3, src=[T0 + 500]) == []
    bench.wait()
    assert [(reading.value, reading.src) for reading in bench.quiet()] == [(5.3, T0 + 500)]


def test_heartbeat_of_something_bad():
    """Bad states are said again too, with code and reason."""
    bench = Bench({"report": "on_change", "max_silence": "2s"})
    bench.read(None, status=number_of("BadTimeout"), reason="slow")
    bench.wait(2)
    (reading,) = bench.read(None, status=number_of("BadTimeout"), reason="slow")
    assert (reading.quality, reading.code, reading.reason, reading.why) == ("bad", "BadTimeout", "slow", "heartbeat")


def test_no_heartbeat_before_the_first_reading():
    """What was never said is not said again."""
    bench = Bench({"max_silence": "1s"}, {"max_silence": "1s"})
    bench.read(1, tags=(0,))
    bench.wait(5)
    assert [reading.tag for reading in bench.quiet()] == ["t0"]


def test_change_restarts_the_silence():
    """A change of value counts as said."""
    bench = Bench({"report": "on_change", "max_silence": "3s"})
    bench.read(1)
    bench.wait(2)
    bench.read(2)
    bench.wait(2)
    assert bench.read(2) == []
    bench.wait(1)
    assert [reading.why for reading in bench.read(2)] == ["heartbeat"]


def test_heartbeats_follow_monotonic_time():
    """A stepped wall clock makes nothing due and holds nothing back."""
    bench = Bench({"max_silence": "10s"})
    bench.read(1)
    bench.clock.step_wall(3600)
    assert bench.quiet() == []
    bench.clock.step_wall(-7200)
    bench.wait(10)
    assert [reading.ts for reading in bench.quiet()] == [T0]


# --- columns ----------------------------------------------------------------------------------------------------------


def test_repeated_tags_keep_their_order():
    """A tag may occur several times in one answer: oldest first, each said."""
    bench = Bench({}, {})
    bench.read(0, 0)
    tags = (0, 1, 0, 0)
    for _ in range(3):
        readings = bench.read(1, 9, 2, 3, tags=tags)
        assert [reading.value for reading in readings if reading.tag == "t0"] == [1, 2, 3]


def test_mixed_column():
    """In a warm column each tag keeps its own rules."""
    keys: list[dict[str, Any]] = [{}] * 4 + [{"scale": 2}] * 4 + [{"scale": 0.5, "round": 0}] * 4
    bench = Bench(*keys, {"deadband": 5}, {"enum": {3: "three"}})
    bench.warm(*[3] * 14)
    readings = {reading.tag: reading for reading in bench.read(*[3] * 14)}
    assert [readings[f"t{n}"].value for n in range(12)] == [3] * 4 + [6] * 4 + [2.0] * 4
    assert "t12" not in readings
    assert readings["t13"].label == "three"


@pytest.mark.parametrize("raw", [None, math.nan, math.inf, "a\ud800", object(), [math.nan], 10**400])
@pytest.mark.parametrize(
    "keys", [{}, {"scale": 0.5}, {"scale": 2}, {"scale": 0.5, "round": 1}, {"scale": 1.0, "round": 1}]
)
def test_one_bad_value_hurts_no_neighbour(raw, keys):
    """In a warm column one impossible value is bad alone; the next scan is whole again."""
    bench = Bench(*[keys] * 8)
    bench.warm(*[2] * 8)
    values: list[Any] = [2] * 8
    values[5] = raw
    hurt = bench.batch(*values)
    assert hurt is not None
    assert hurt.bad == 1
    assert [reading.tag for reading in hurt.readings if reading.quality == "bad"] == ["t5"]
    whole = bench.batch(*[2] * 8)
    assert whole is not None
    assert (whole.bad, len(whole.readings)) == (0, 8)


def test_samples_are_left_alone():
    """Samples may be shared: nothing in them is changed, and readings do not change later."""
    bench = Bench(*[{"scale": 0.5}] * 8)
    bench.warm(*[2] * 8)
    values, src = [4] * 8, [T0 + 9000] * 8
    first = bench.read(*values, src=src)
    before = repr(first)
    bench.read(*[6] * 8, src=[T0 + 9500] * 8)
    bench.lost()
    assert (values, src, repr(first)) == ([4] * 8, [T0 + 9000] * 8, before)


def test_memory_is_bounded():
    """A stream of one-off tuples leaves nothing behind."""
    bench = Bench(*[{}] * 8)
    for n in range(3000):
        bench.read(n, n, tags=(n % 8, (n + 1) % 8))
    cache = bench.normalize._columns
    assert len(cache._columns) + len(cache._once) < 1000


def test_many_blocks_are_compiled():
    """A scan of many blocks is compiled at its second turn, however many there are."""
    bench = Bench(*[{}] * 4000)
    blocks = [tuple(range(n, n + 4)) for n in range(0, 4000, 4)]
    for _ in range(2):
        for block in blocks:
            bench.read(1, 2, 3, 4, tags=block)
    assert len(bench.normalize._columns._columns) == len(blocks)


def test_columns_of_different_length():
    """A collector that hands over columns of different length is a bug and is told so, not cut short in silence."""
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1)
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1, 2, src=[T0])
    with pytest.raises(ValueError, match="differ in length"):
        Bench({}, {}).read(1, 2, status=[])


def test_nothing_to_say():
    """A sample that says nothing gives no batch."""
    assert Bench({}).quiet() == []
    bench = Bench({"report": "on_change"})
    bench.read(1)
    assert bench.batch(1) is None


@pytest.mark.parametrize("tags", [1, 8])
def test_a_clock_that_is_set_back_is_believed(tags):
    """Times that are still to come hold nothing back; those before are kept, and from there on none goes back."""
    bench = Bench(*[{}] * tags)
    bench.warm(*[1] * tags)
    said = bench.clock.now_ms()
    bench.read(*[1] * tags)
    bench.clock.step_wall(-3600)
    assert {reading.ts for reading in bench.read(*[2] * tags)} == {said}
    bench.normalize.set_back(-3600_000)
    now = bench.clock.now_ms()
    assert {reading.ts for reading in bench.read(*[3] * tags)} == {now}
    bench.clock.step_wall(-0.5)
    assert {reading.ts for reading in bench.read(*[4] * tags)} == {now}
    bench.normalize.set_back(-500)
    assert {reading.ts for reading in bench.read(*[5] * tags)} == {now - 500}


@pytest.mark.parametrize("tags", [1, 8])
def test_a_first_value_is_not_older_than_the_word_that_it_is_awaited(tags):
    """A snapshot said at some time that nothing was read yet; the answer under way then is said for that time."""
    bench = Bench(*[{}] * tags)
    snapshot = bench.clock.now_ms() + 4
    bench.normalize.awaits(snapshot)
    assert {(reading.ts, reading.why) for reading in bench.read(*[1] * tags)} == {(snapshot, "initial")}
    bench.normalize.awaits(snapshot + 1000)  # what has a value waits no more
    bench.clock.step_wall(0.1)
    assert {reading.ts for reading in bench.read(*[2] * tags)} == {bench.clock.now_ms()}


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_is_converted_and_nothing_else():
    """Scale, range and labels apply; no deadband, no why, no place in what is remembered; ts is the source's."""
    bench = Bench({"scale": 2, "deadband": 100, "max_silence": "1s"}, {"enum": {1: "on"}, "range": {"max": 5}})
    bench.read(1, 1)
    past = Answer(
        tags=(0, 0, 0, 1, 1, 1),
        values=[10, 11, None, 1, 9, 1],
        ts=bench.clock.now_ms(),
        status=[0, 0, number_of("BadSensorFailure"), 0, 0, 0],
        src=[T0 - 3, T0 - 2, T0 - 1, T0 - 3, T0 - 2, None],
        reason={2: "broken"},
    )
    batch = bench.normalize(Sample(ts=bench.clock.now_ms(), history=[past]))
    assert batch is not None
    assert (batch.backfill, batch.bad, batch.uncertain) == (True, 1, 1)
    assert [(r.tag, r.value, r.ts, r.quality, r.label, r.why) for r in batch.readings] == [
        ("t0", 20, T0 - 3, "good", None, None),
        ("t0", 22, T0 - 2, "good", None, None),
        ("t0", None, T0 - 1, "bad", None, None),
        ("t1", 1, T0 - 3, "good", "on", None),
        ("t1", 9, T0 - 2, "uncertain", None, None),
    ]
    assert batch.readings[2].reason == "broken"
    assert bench.read(1, 1, tags=(0, 1)) != []


def test_tags_a_device_is_found_to_have():
    """They follow the table, are said like any other, and change nothing for those that were there."""
    bench = Bench(*[{"unit": "Cel"}] * 5)
    bench.warm(*[1] * 5)
    now = bench.clock.now_ms()
    answer = Answer(tags=(0, 5, 6), values=[2, 7, 8], ts=now)
    batch = bench.normalize(Sample(ts=now, answers=[answer], found=["x", "y"]))
    assert batch is not None
    assert [(r.tag, r.value, r.unit, r.why) for r in batch.readings] == [
        ("t0", 2, "Cel", None),
        ("x", 7, None, "initial"),
        ("y", 8, None, "initial"),
    ]
    assert {r.tag for r in bench.lost()} == {"t0", "t1", "t2", "t3", "t4", "x", "y"}
