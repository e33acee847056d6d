"""Tags that come together again and again are decoded as if they came for the first time, only faster."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.recurring import FEWEST, Recurring, rows_of
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.wire.columns import NOTHING, Columns
from agent.core.flow import Answer

TAGS = 2 * FEWEST
MOST = FEWEST + 1  #: in a chunk
NOW = 1_763_760_000_000
OVERFLOW, STRUCTURE_CHANGED, BAD = 0x0480, 0x8000, 0x80000000
#: Chunks as a poller reads them, one that overlaps, one with a hole, one out of order, one tag alone.
CHUNKS = [
    tuple(range(FEWEST)), tuple(range(FEWEST - 1, TAGS)), tuple(range(4, FEWEST + 4)), (0, *range(2, FEWEST + 1)),
    (*reversed(range(FEWEST)), TAGS - 1), (6,),
]  # fmt: skip


def ticks(ms: int) -> int:
    return ms * 10_000 + 116_444_736_000_000_000


_ROW = st.tuples(
    st.sampled_from([11, 11, 11, 6, NOTHING, 12]),
    st.sampled_from([0, 0, 0, 0, OVERFLOW, STRUCTURE_CHANGED, BAD, 0x40000000]),
    st.sampled_from([None, ticks(NOW - 5000), ticks(NOW - 5000), ticks(NOW + 4000), ticks(NOW + 60_000), 5]),
)
_PLAIN = st.tuples(
    st.sampled_from([11, 11, 11, 11, 6]), st.just(0), st.sampled_from([ticks(NOW - 5000), ticks(NOW + 4000)])
)
_STEP = st.tuples(
    st.integers(0, len(CHUNKS) - 1),
    st.sampled_from([0, 0, 1000, -10_000]),  # how far the clock goes, ms
    st.one_of(
        st.lists(_PLAIN, min_size=MOST, max_size=MOST), st.just(None), st.lists(_ROW, min_size=MOST, max_size=MOST)
    ),
    st.sampled_from(["live", "live", "live", "history", "grow"]),
)


def seen(decoder: Decoder, answer: Answer | None) -> dict[str, Any]:
    """All there is to see."""
    return {
        "answer": None if answer is None else repr(answer),
        "last": list(decoder._last),
        "first": dict(decoder.first),
        "news": decoder.news(),
        "losses": decoder.losses(),
        "overflows": decoder.overflows,
        "changed": set(decoder.changed),
        "structured": decoder.structured,
    }


@given(st.lists(_STEP, max_size=25))
def test_the_same_as_tags_that_come_for_the_first_time(steps: list[Any]) -> None:
    """Two decoders hear the same; one of them never gets the same tuple twice."""
    known, stranger = (Decoder(TAGS, SourceClock(max_skew=5.0)) for _ in range(2))
    now, before = NOW, [(11, 0, ticks(NOW - 5000))] * MOST
    for chunk, later, rows, what in steps:
        now += later
        before = before if rows is None else rows
        tags = CHUNKS[chunk]
        told = []
        for decoder, named in ((known, tags), (stranger, (*tags,))):
            kinds, status, times = (list(column) for column in zip(*before[: len(tags)], strict=True))
            values: list[object] = ["x" if kind == 12 else None if kind == NOTHING else 1.5 for kind in kinds]
            answer: Answer | None = None
            if what == "grow":
                decoder.grow(decoder.size + 1)
            elif what == "history":
                decoder.history(tags[0], [], now, NOW - 9000, NOW)
            if what != "history":
                answer = decoder.columns(named, Columns(kinds, values, status, times), now)
            told.append(seen(decoder, answer))
        assert told[0] == told[1]


def test_a_type_that_another_chunk_taught_is_news_again() -> None:
    """Two chunks share a tag, and each says another type of it."""
    decoder = Decoder(TAGS, SourceClock())
    chunk, other = CHUNKS[0], CHUNKS[2]
    both = {*chunk} & {*other}
    for tags, kind, news in ((chunk, 11, {*chunk}), (other, 6, {*other}), (chunk, 11, both), (chunk, 11, set())):
        count = len(tags)
        decoder.columns(tags, Columns([kind] * count, [1] * count, [0] * count, [None] * count), NOW)
        assert (decoder.news() or {}).keys() == news


def test_what_is_handed_on_is_its_own() -> None:
    """Source times that stand still are not the same list twice: whoever has an answer may keep it."""
    decoder = Decoder(TAGS, SourceClock())
    one, other = (
        decoder.columns(tags, Columns([11] * FEWEST, [1.0] * FEWEST, [0] * FEWEST, [ticks(NOW)] * FEWEST), NOW)
        for tags in (CHUNKS[0], CHUNKS[0])
    )
    assert one.src == other.src == [NOW] * FEWEST
    assert one.src is not other.src


def test_what_changes_one_by_one_is_not_remembered() -> None:
    """A subscription that tells a tag at a time: sets that come once would take a megabyte each thousand."""
    decoder = Decoder(TAGS, SourceClock())
    for tags, remembered in [((0,), False), (CHUNKS[0][1:], False), (CHUNKS[0], True)]:
        count = len(tags)
        decoder.columns(tags, Columns([11] * count, [1.0] * count, [0] * count, [ticks(NOW)] * count), NOW)
        assert (decoder._recurring.get(tags) is not None) is remembered


def test_rows_that_stand_side_by_side() -> None:
    """In order, without a hole."""
    assert rows_of((3, 4, 5)) == slice(3, 6)
    assert [rows_of(tags) for tags in ((), (3, 5, 4), (3, 5), (3, 3, 5), (5, 4))] == [None] * 5


def test_no_more_is_remembered_than_there_are_tags() -> None:
    """Sets of tags that never come again push each other out."""
    known = Recurring()
    sets = [tuple(range(at, at + 4)) for at in range(100)]
    for tags in sets:
        known.add(tags, TAGS)
    assert sum(known.get(tags) is not None for tags in sets) <= 4
    assert known.get(sets[-1]) is not None
    assert known.get((*sets[-1],)) is None, "by identity"
