"""Random tags, samples, outages and statuses: the normalizer says what the slow reference says."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent.core.flow import Answer, Sample
from agent.core.quality import number_of
from agent.normalize import compile_normalizer
from agent.normalize.columns import readings_of
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from tests.unit.normalize.reference import Reference, by_tag

T0 = 1_763_760_000_000

numbers = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([32768, -(2**63), 2**64 - 1, 2**64, 10**400]),
    st.floats(-10, 10, width=16),
    st.sampled_from([math.nan, math.inf, -math.inf, -9999.900390625, 1e308, 0.25, 100.0]),
)
raws = st.one_of(
    numbers,
    numbers,
    st.booleans(),
    st.sampled_from(["", "text", "nan", "N/A", "温度", "a\ud800"]),
    st.none(),
    st.just(b"\0\1"),
    st.just(1j),
    st.lists(numbers, max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.one_of(numbers, st.none(), st.lists(numbers, max_size=2)), max_size=2),
)
ordinary = st.one_of(st.integers(0, 4), st.floats(0, 4, width=16))
statuses = st.sampled_from(
    [0, 0, 0, 0x480]
    + [
        number_of(name)
        for name in (
            "GoodClamped",
            "UncertainLastUsableValue",
            "BadSensorFailure",
            "BadOutOfService",
            "BadNoCommunication",
        )
    ]
)
factors = st.sampled_from([1, 1.0, 10, 0.1, -2, 0, 1e300])

# keys that need a value by value path are rare, so that the column-wise paths get their share
ranges = st.sampled_from([{"min": -1}, {"max": 3.5}, {"min": 0, "max": 2}, {"min": -1e308, "max": 1e308}, {}])
rare: dict[str, st.SearchStrategy[Any]] = {
    "range": ranges,
    "null_values": st.sampled_from([[32768, -9999.9], {3: "BadSensorFailure"}, ["nan"], ["N/A", "inf"]]),
    "enum": st.just({0: "stopped", 1: "running"}),
    "report": st.sampled_from(["every", "on_change"]),
    "deadband": st.sampled_from([0.5, 1.0, {"percent": 50}]),
    "max_silence": st.sampled_from(["1s", "2500ms"]),
    "enabled": st.just(False),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, TagBase]:
    """A device's tag table."""
    table = {}
    limited = draw(st.sampled_from([st.just(False), st.booleans(), st.just(True)]))  # columns need several alike
    for n in range(draw(st.integers(1, 12))):
        keys: dict[str, Any] = {}
        if draw(st.booleans()):
            keys["unit"] = "Cel"
        shape = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        if shape in (1, 2):
            for key in draw(st.sampled_from([("scale", "offset"), ("scale",), ("offset",), ()])):
                keys[key] = draw(factors)
        if shape == 2:
            keys["round"] = draw(st.integers(0, 3))
        if draw(limited):
            keys["range"] = draw(ranges)
        if shape == 3:
            for key in draw(st.sets(st.sampled_from(sorted(rare)))):
                keys[key] = draw(rare[key])
            if "deadband" in keys:
                keys.pop("report", None)
        table[f"t{n}"] = TagBase.model_validate(keys)
    return table


@st.composite
def answers(draw: st.DrawFn, columns: list[tuple[int, ...]], size: int, now: int) -> Answer:
    """One answer over a known column (the same tuple object) or over a fresh one, maybe with repetitions."""
    if draw(st.integers(0, 7)):
        tags = draw(st.sampled_from(columns))
    else:
        tags = tuple(draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=6)))
    count = len(tags)
    exact: Any = {"min_size": count, "max_size": count}
    wild = draw(st.integers(0, 9)) == 0
    times = st.one_of(st.integers(now - 3000, now + 500), st.sampled_from([T0, now - 1, now, now + 1, now + 1500]))
    src = None
    if draw(st.booleans()):
        src = draw(st.lists(st.one_of(times, st.none()) if wild else times, **exact))
    doubted = None
    if draw(st.integers(0, 7)) == 0:
        absurd = st.sampled_from([None, None, -11_644_473_600_000, 253_402_214_400_000, now + 60_000, now - 60_000])
        doubted = draw(st.lists(absurd, **exact))
    status: Any = 0
    if draw(st.integers(0, 7)) == 0:
        status = draw(st.one_of(statuses, st.lists(statuses, **exact)))
    return Answer(
        tags=tags,
        values=draw(st.lists(raws if wild else ordinary, **exact)),
        ts=now - draw(st.integers(0, 50)),
        status=status,
        src=src,
        reason=draw(st.sampled_from([None, "refused", {0: "first"}])),
        doubted=doubted,
    )


def move(clock: ManualClock, seconds: float) -> None:
    """Advance without a loop: nobody sleeps on this clock."""
    clock._move_to(clock.monotonic() + seconds)


@settings(max_examples=120, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(data=st.data())
def test_agrees_with_the_reference(data: st.DataObject) -> None:
    """Whatever arrives in whatever order, every reading is the reference's, field by field."""
    table = data.draw(tables())
    size = len(table)
    report: Any = data.draw(st.sampled_from(["every", "every", "on_change"]))
    cut = data.draw(st.integers(1, size))
    whole = tuple(range(size))
    columns = [whole, whole, whole[:cut], whole[:cut:-1] or (0,)]
    clock = ManualClock(T0)
    normalize = compile_normalizer("d", table, default_report=report, cat=lambda: 7, clock=clock)
    reference = Reference(table, report=report)
    for _ in range(data.draw(st.integers(4, 14))):
        move(clock, data.draw(st.sampled_from([0.0, 0.001, 0.1, 1.0, 3.0])))
        if data.draw(st.integers(0, 20)) == 0:
            clock.step_wall(-5)
        now = clock.now_ms()
        if data.draw(st.integers(0, 6)) == 0:
            sample = Sample.lost("no route to host", now)
        else:
            some = data.draw(st.lists(answers(columns, size, now), max_size=4))
            sample = Sample(ts=now, answers=some)
            if data.draw(st.integers(0, 9)) == 0:
                sample.labels = {data.draw(st.integers(0, size - 1)): {0: "off", 1: "on"}}
        before = repr(sample)
        said, expected = normalize(sample), reference(sample, clock.monotonic())
        assert repr(sample) == before
        assert (said is None) == (expected is None)
        if said is not None and expected is not None:
            assert by_tag(said.readings) == by_tag(expected.readings)
            assert repr(by_tag(said.readings)) == repr(by_tag(expected.readings))  # 1, 1.0 and True are different
            if said.columns is not None:
                assert repr(readings_of(said.columns)) == repr(said.readings)
                parts = said.columns.parts or [said.columns]
                assert repr([one for part in parts for one in readings_of(part)]) == repr(said.readings)
            assert structs.replace(said, readings=[], columns=None) == structs.replace(expected, readings=[])
