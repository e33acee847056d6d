"""What every normalizer must do. Subclass NormalizerContract in a test module and give a `make` fixture.

`make(names)` gives a normalizer for tags of these names with nothing else configured, and a ManualClock behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from agent.core.flow import Answer, Batch, Reading, Sample
from agent.core.ports import Normalizer
from agent.testing.records import TS

Make = Callable[[Sequence[str]], Normalizer]

TAGS = ("a", "b", "c")
POSITIONS = (0, 1, 2)

#: What a device may hand over, the impossible included.
ODD: tuple[object, ...] = (
    None, True, -1, 2**70, 1e308, math.nan, math.inf, "text", "\ud800", b"\xff", [1, math.nan], [], {}, object(),
)  # fmt: skip


def sample(ts: int, values: Sequence[object], *, status: int = 0, src: int | None = None) -> Sample:
    """What a device answered at `ts`, all of `TAGS`."""
    times = None if src is None else [src] * len(values)
    return Sample(ts=ts, answers=[Answer(tags=POSITIONS, values=values, ts=ts, status=status, src=times)])


def said(batch: Batch | None) -> dict[str, Reading]:
    """The newest reading of each tag in a batch."""
    return {} if batch is None else {reading.tag: reading for reading in batch.readings}


class NormalizerContract:
    """See `agent.core.ports.Normalizer`."""

    def test_values_come_under_their_own_tags(self, make: Make) -> None:
        """Each value reaches its tag, good, with the time of the answer."""
        readings = said(make(TAGS)(sample(TS, [1, 2.5, "on"])))
        assert {name: one.value for name, one in readings.items()} == {"a": 1, "b": 2.5, "c": "on"}
        assert all(one.quality == "good" and one.ts == TS for one in readings.values())

    def test_nothing_a_device_hands_over_raises(self, make: Make) -> None:
        """A value that cannot be carried costs its own tag for this moment: bad, null."""
        normalize = make(TAGS)
        for number, value in enumerate(ODD):
            readings = said(normalize(sample(TS + 10 * number, [1, value, 3])))
            assert readings["a"].value == 1
            assert readings["c"].value == 3
            assert all(one.value is None for one in readings.values() if one.quality == "bad")

    def test_not_a_number_is_bad(self, make: Make) -> None:
        """NaN and infinities become null with quality bad."""
        readings = said(make(TAGS)(sample(TS, [math.nan, math.inf, -math.inf])))
        assert {(one.value, one.quality) for one in readings.values()} == {(None, "bad")}

    def test_a_bad_status_takes_the_value(self, make: Make) -> None:
        """Nothing bad passes as good, whatever value stands beside it."""
        readings = said(make(TAGS)(sample(TS, [1, 2, 3], status=0x80000000)))
        assert {(one.value, one.quality) for one in readings.values()} == {(None, "bad")}

    def test_a_lost_device_is_offline_once_and_recovers_whole(self, make: Make) -> None:
        """Lost: each tag once bad with `why: offline`. Back: each tag once with `why: recovered`, then as ever."""
        normalize = make(TAGS)
        normalize(sample(TS, [1, 2, 3]))
        lost = said(normalize(Sample.lost("no answer", TS + 1000)))
        assert {(one.value, one.quality, one.why) for one in lost.values()} == {(None, "bad", "offline")}
        assert set(lost) == set(TAGS)
        assert said(normalize(Sample.lost("no answer", TS + 2000))) == {}
        back = said(normalize(sample(TS + 3000, [1, 2, 3])))
        assert {one.why for one in back.values()} == {"recovered"}
        assert {one.why for one in said(normalize(sample(TS + 4000, [1, 2, 3]))).values()} == {None}

    def test_times_rise_strictly(self, make: Make) -> None:
        """A source clock that stands still or runs back never gives a tag the same time twice; `src` keeps its word."""
        normalize = make(TAGS)
        seen: list[int] = []
        for number, src in enumerate([TS, TS, TS, TS - 60_000, TS - 50_000]):
            reading = said(normalize(sample(TS + 1000 * number, [number, 2, 3], src=src)))["a"]
            assert (reading.src if reading.src is not None else reading.ts) == src
            seen.append(reading.ts)
        assert seen == sorted(set(seen))
