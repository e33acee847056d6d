"""Columns that stand still: nobody can tell them from tags that are looked at one by one."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent.core.flow import Answer, Batch, Sample
from agent.core.quality import number_of
from agent.normalize import compile_normalizer
from agent.normalize.columns import readings_of
from agent.normalize.still import Still
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from tests.unit.normalize.bench import T0, Bench
from tests.unit.normalize.reference import by_tag

#: What one device sends: equal by value, but not by type or sign; sentinels; what cannot be carried.
FAMILIES: list[list[Any]] = [
    [0, 0.0, -0.0, False],
    [1, True, 1.0],
    [1.0, 1.25, 2.0, 2.5, -3.0],
    [1, 2, 5],
    [1.0, math.nan, math.inf, 1e308],
    [2**64, float(2**64), 2**63, float(2**63)],
    ["1", b"1", 1, "a\ud800"],
    [[1], [True], [1.0]],
]
KEYS: dict[str, list[Any]] = {
    "report": ["on_change"] * 5 + ["every"],
    "deadband": [None, None, 0.5, {"percent": 50}],
    "max_silence": [None] * 5 + ["2s"],
    "scale": [None, None, 2, 0.5],
    "round": [None, None, 1],
    "range": [None] * 4 + [{"min": 0, "max": 2}],
    "null_values": [None] * 4 + [[2], {1.25: "BadSensorFailure"}],
    "enum": [None] * 4 + [{1: "on"}],
    "enabled": [None] * 9 + [False],
}
STATUSES = [number_of(name) for name in ("BadSensorFailure", "UncertainLastUsableValue", "GoodClamped")]


@st.composite
def tags_of(draw: st.DrawFn) -> dict[str, Any]:
    """The keys of one tag."""
    keys = {key: value for key, values in KEYS.items() if (value := draw(st.sampled_from(values))) is not None}
    if "deadband" in keys:
        del keys["report"]
    return keys


class Twins:
    """A device twice under a normalizer: one knows its columns again, the other never does."""

    def __init__(self, table: dict[str, TagBase]) -> None:
        self.table = table
        self.clock = ManualClock(T0)
        self.both = [self._compiled() for _ in range(2)]

    def _compiled(self) -> Any:
        return compile_normalizer("d", self.table, cat=lambda: 7, clock=self.clock)

    def retag(self, table: dict[str, TagBase]) -> None:
        """Other keys, as after a reload."""
        before, self.table = self.table, table
        for at, old in enumerate(self.both):
            self.both[at] = self._compiled()
            self.both[at].resume(old, lambda name: before.get(name) == table[name])

    def agree(self, *answers: Answer, **other: Any) -> None:
        """Both say the same of a sample."""
        now = self.clock.now_ms()
        lonely = [structs.replace(answer, tags=tuple(iter(answer.tags))) for answer in answers]
        one, two = (
            each(Sample(ts=now, answers=list(some), **other))
            for each, some in zip(self.both, (answers, lonely), strict=True)
        )
        assert plain(one) == plain(two)
        for batch in (one, two):
            if batch is not None and batch.columns is not None:
                assert repr(readings_of(batch.columns)) == repr(batch.readings)


def plain(batch: Batch | None) -> str:
    """All of it, but for the order of different tags."""
    return "" if batch is None else repr((structs.replace(batch, readings=[], columns=None), by_tag(batch.readings)))


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(data=st.data())
def test_still_or_not_the_same_is_said(data: st.DataObject) -> None:
    """Whatever changes, is lost, comes back, is set anew or falls due."""
    draw = data.draw
    size = draw(st.integers(4, 6))
    alike = draw(tags_of())
    keys = [alike if draw(st.integers(0, 3)) else draw(tags_of()) for _ in range(size)]
    twins = Twins({f"t{n}": TagBase.model_validate(one) for n, one in enumerate(keys)})
    whole = tuple(range(size))
    columns = [whole] * 5 + [whole[1:]]
    family = draw(st.sampled_from(FAMILIES))
    raws = family[:1] * size
    src = draw(st.booleans())
    known: dict[Any, tuple[Any, ...]] = {}  # the same bytes are the very same column
    for _ in range(draw(st.integers(8, 16))):
        twins.clock._move_to(twins.clock.monotonic() + draw(st.sampled_from([0.0, 0.1, 1.0])))
        now = twins.clock.now_ms()
        for place in draw(st.lists(st.integers(0, size - 1), max_size=2)):
            raws[place] = draw(st.sampled_from(family))
        match draw(st.integers(0, 39)):
            case 0 | 1:
                twins.agree(outage="no route")
            case 2:
                twins.agree(labels={draw(st.integers(0, size - 1)): {1: "one"}})
            case 3:
                twins.retag(twins.table | {"t0": TagBase.model_validate(draw(tags_of()))})
            case 4:
                twins.clock.step_wall(-1)
                for each in twins.both:
                    each.set_back(-1000)
            case 5:
                twins.agree()
            case _:
                tags = draw(st.sampled_from(columns))
                values = tuple(raws[i] for i in tags)
                values = known.setdefault((tags, repr(values)), values)
                columns_of: dict[str, Any] = {}
                if src:
                    columns_of["src"] = None if draw(st.booleans()) else [now - draw(st.integers(-1, 2)) for _ in tags]
                if draw(st.integers(0, 15)) == 0:
                    columns_of["status"] = [draw(st.sampled_from([0, 0, *STATUSES])) for _ in tags]
                if draw(st.integers(0, 15)) == 0:
                    columns_of["doubted"] = [draw(st.sampled_from([None, now - 5000])) for _ in tags]
                twins.agree(Answer(tags=tags, values=values, ts=now, **columns_of))
    assert twins.both[0].times() == twins.both[1].times()


def test_what_stands_still_is_not_looked_at() -> None:
    """The work is that of what changes, not that of all there is."""
    bench = Bench(*[{"report": "on_change", "scale": 0.5}] * 50)
    bench.warm(*range(50))
    seen: list[Any] = []
    convert = bench.normalize._values._short[0][1]

    def looked(raw: Any) -> Any:
        seen.append(raw)
        return convert(raw)

    short = bench.normalize._values._short
    short[:] = [(one[0], looked, *one[2:]) for one in short]
    assert bench.read(*range(50)) == []
    assert seen == []
    (reading,) = bench.read(*range(49), 50)
    assert (reading.tag, reading.value, seen) == ("t49", 25.0, [50])


def test_the_very_same_column_costs_no_look_at_it() -> None:
    """A block whose bytes are the same; once anybody else has had to do with a tag, it is looked at."""
    bench = Bench(*[{"report": "on_change"}] * 8)
    tags, values = bench.tags, (1.0,) * 8

    def said(**more: Any) -> int:
        now = bench.clock.now_ms()
        batch = bench.normalize(Sample(ts=now, answers=[Answer(tags, values, now, **more)]))
        return 0 if batch is None else len(batch.readings)

    assert [said() for _ in range(3)] == [8, 0, 0]
    still = bench.normalize._values._columns.get(tags).still  # type: ignore[union-attr]
    assert still is not None
    assert still.values is values
    assert len(bench.lost()) == 8
    assert [said(), said()] == [8, 0]
    src = [bench.clock.now_ms() - 500] * 8
    assert said(src=src) == 0
    assert [one.src for one in bench.lost()] == src


def test_a_list_that_its_collector_fills_anew_is_news() -> None:
    """A plugin may keep one list for what it reads, as it keeps one tuple of tags."""
    bench = Bench(*[{"report": "on_change"}] * 8)
    bench.warm(*[1.0] * 8)
    tags, values = tuple(range(8)), [1.0] * 8
    said = []
    for at in range(6):
        values[0] = float(at // 2)
        batch = bench.normalize(Sample(ts=bench.clock.now_ms(), answers=[Answer(tags, values, bench.clock.now_ms())]))
        said.append([] if batch is None else [reading.value for reading in batch.readings])
    assert said == [[0.0], [], [1.0], [], [2.0], []]


def test_one_that_flickers_costs_its_neighbours_nothing() -> None:
    """A value that cannot be carried is looked at alone, again and again."""
    bench = Bench(*[{"report": "on_change"}] * 8)
    bench.warm(*[1.0] * 8)
    bench.read(*[1.0] * 7, math.nan)
    assert [reading.value for reading in bench.read(*[1.0] * 7, 2.0)] == [2.0]
    assert all(isinstance(owner, Still) for owner in bench.normalize._values.state.owner)
