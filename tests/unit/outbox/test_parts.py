from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.flow import Batch, Gap, Record, Stream
from agent.outbox.bounds import FLOOR_BYTES, AgeLimit, File, allowed, excess
from agent.outbox.file.transaction import Low, StoredStream, runs
from agent.outbox.gaps import gap_of, merged
from agent.outbox.lanes import Lanes
from agent.outbox.memo import CachedMemo
from agent.outbox.streams import StreamBook

STREAM = Stream("E", "press-01")


def record(row, size=10):
    return Record(row, STREAM, row, 0, Batch("press-01", 0, []), historical=False, size=size)


def ranges(lanes):
    return [tuple(one) for one in lanes._ranges]


# --- lanes ------------------------------------------------------------------------------------------------------------


def test_the_older_half_falls_at_once():
    """A slow broker makes few ranges: half the lane goes to the backlog in one piece."""
    lanes = Lanes(last_row=0, left=0, session=1, max_bytes=10_000, max_records=8)
    for row in range(1, 10):
        lanes.arrived([record(row)])
    assert ranges(lanes) == [(1, 5)]
    assert list(lanes.live) == [6, 7, 8, 9]
    assert lanes.left == 5


def test_bytes_bound_the_lane_too():
    """Large records fall earlier."""
    lanes = Lanes(last_row=0, left=0, session=1, max_bytes=100, max_records=1000)
    for row in range(1, 12):
        lanes.arrived([record(row)])
    assert ranges(lanes) == [(1, 6)]


def test_a_range_never_covers_what_was_handed_out():
    """Rows handed out live between two falls stand between two ranges."""
    lanes = Lanes(last_row=0, left=0, session=1, max_bytes=10_000, max_records=4)
    for row in range(1, 6):
        lanes.arrived([record(row)])
    assert [one.row for one in lanes.take_live(2)] == [4, 5]
    for row in range(6, 11):
        lanes.arrived([record(row)])
    assert ranges(lanes) == [(1, 3), (6, 8)]


@given(st.lists(st.sampled_from(["arrive", "arrive", "arrive", "live", "backlog", "withdraw"]), max_size=200))
def test_every_row_is_handed_out_once(ops):
    """Whatever the order of arrivals and hand-outs, each row goes out once, and each lane in rising order."""
    lanes = Lanes(last_row=3, left=3, session=1, max_bytes=10_000, max_records=6)
    row = 3
    out: dict[bool, list[int]] = {True: [], False: []}
    gone: set[int] = set()

    def read():
        span = lanes.next_range
        assert span is not None
        for number in range(span[0], min(span[1], span[0] + 2) + 1):
            if number not in gone:
                lanes.hand_out(record(number))
                out[True].append(number)
            lanes.passed(number)

    for op in ops:
        if op == "arrive":
            row += 1
            lanes.arrived([record(row)])
        elif op == "live":
            out[False] += [one.row for one in lanes.take_live(2)]
        elif op == "backlog" and lanes.next_range:
            read()
        elif op == "withdraw" and lanes.live:
            number = next(iter(lanes.live))
            assert [one.row for one in lanes.withdraw([number])] == [number]
            gone.add(number)
    while lanes.next_range:
        read()
    out[False] += [one.row for one in lanes.take_live(1000)]
    assert sorted(out[True] + out[False] + sorted(gone)) == list(range(1, row + 1))
    assert out[True] == sorted(out[True])
    assert out[False] == sorted(out[False])
    assert lanes.left == 0


def test_a_row_comes_back_to_its_place():
    """What is refused for now goes before every later row that was not read yet; neighbours become one range."""
    lanes = Lanes(last_row=20, left=20, session=1)
    lanes.passed(10)
    for row in (25, 30, 5, 27, 9, 4, 26, 10):
        lanes.to_backlog(row)
    assert ranges(lanes) == [(4, 5), (9, 20), (25, 27), (30, 30)]


@given(st.permutations(list(range(1, 12))), st.integers(0, 11))
def test_rows_in_any_order_make_rising_ranges(rows, count):
    """Whatever comes back in whatever order: each row once, in rising order, no two ranges touch."""
    lanes = Lanes(last_row=0, left=0, session=1)
    for row in rows[:count]:
        lanes.to_backlog(row)
    spans = ranges(lanes)
    assert [row for low, high in spans for row in range(low, high + 1)] == sorted(rows[:count])
    assert all(one[1] + 1 < other[0] for one, other in pairwise(spans))
    assert lanes.left == count


def test_what_is_withdrawn_can_be_put_back():
    """A rewrite that failed leaves the lane as it was."""
    lanes = Lanes(last_row=0, left=0, session=1)
    for row in range(1, 4):
        lanes.arrived([record(row)])
    taken = lanes.withdraw([1])
    lanes.restore([1], taken)
    assert [one.row for one in lanes.take_live(9)] == [1, 2, 3]
    assert lanes.left == 0


# --- gaps -------------------------------------------------------------------------------------------------------------


def lost(seq, kind="dropped", stream=STREAM):
    return gap_of(kind, stream, seq, seq * 10, 5, now_ms=0)


def test_neighbours_become_one_gap():
    """The earlier one's id stays; numbers, times and counts grow."""
    first, second = lost(4), lost(5)
    one = merged(first, second)
    assert one is not None
    assert (one.id, one.from_seq, one.to_seq, one.from_ts, one.to_ts, one.records, one.readings) == (
        first.id, 4, 5, 40, 50, 2, 10,
    )  # fmt: skip


def test_gaps_that_do_not_meet_stay_two():
    """A declaration never covers a number that was not lost, nor mixes causes or streams."""
    assert merged(lost(4), lost(6)) is None
    assert merged(lost(5), lost(4)) is None
    assert merged(lost(4), lost(5, "expired")) is None
    assert merged(lost(4), lost(5, stream=Stream("F", "press-01"))) is None


def test_gaps_without_numbers_merge_by_cause():
    """Losses of the device's own queue add up; unknown counts stay unknown."""
    gap = Gap(id="1", kind="missed", device="d", from_ts=5, to_ts=9, reason="overflow", tags=["a"], readings=3)
    later = Gap(id="2", kind="missed", device="d", from_ts=9, to_ts=20, reason="overflow", tags=["a"], readings=4)
    one = merged(gap, later)
    assert one is not None
    assert (one.from_ts, one.to_ts, one.readings, one.records) == (5, 20, 7, None)


@pytest.mark.parametrize(
    ("from_ts", "meets"),
    [
        (109_999, True),
        (110_000, False),
        (3_700_000, False),
        (99_000, True),  # they overlap
        (-3_500_000, False),  # the clock was set back in between
        (89_002, True),
        (89_000, False),
    ],
)
def test_gaps_without_numbers_merge_only_where_their_times_meet(from_ts, meets):
    """Two losses of a second each are never an hour: less than ten seconds lie between those that become one."""
    gap = Gap(id="1", kind="missed", device="d", from_ts=99_001, to_ts=100_000, reason="overflow", readings=3)
    later = Gap(id="2", kind="missed", device="d", from_ts=from_ts, to_ts=from_ts + 1, reason="overflow", readings=4)
    one = merged(gap, later)
    assert (one is not None) == meets
    if one is not None:
        assert (one.from_ts, one.to_ts) == (min(99_001, from_ts), max(100_000, from_ts + 1))
        assert one.readings == 7


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_too_little_free_disk_stops_the_growth():
    """Below the floor the file keeps its size; a small share stays usable so that data goes on flowing."""
    mib = 1 << 20
    assert allowed(1 << 30, 200, None, File()) == 1 << 30
    assert allowed(1 << 30, 200, 200, File()) == 1 << 30
    assert allowed(1 << 30, 200, 199, File()) == FLOOR_BYTES
    assert allowed(1 << 30, 200, 199, File(80 * mib, 4 * mib, 70 * mib)) == 70 * mib
    assert allowed(1 << 30, 200, 199, File(80 * mib, 0, 70 * mib)) == 66 * mib
    assert allowed(1 << 30, 200, 199, File(80 * mib, 44 * mib, 30 * mib)) == 50 * mib
    assert allowed(1000, 200, 199, File(80 * mib, 0, 70 * mib)) == 1000


def test_a_full_outbox_gives_up_a_lump():
    """Not over: nothing. Over: what is too much, and a hundredth more."""
    assert excess(1000, 1000) == 0
    assert excess(1001, 1000) == 11


def test_age_of_this_run_is_monotonic():
    """Rows of this run expire max_age after they were appended, whatever their time stamps say."""
    age = AgeLimit(100, first_row=10)
    age.set_clock(10**12, 0)
    for second in range(0, 200, 10):
        age.mark(float(second), 10 + second)
    assert age.expired(20, 10**15, 190.0)
    assert not age.expired(150, 0, 190.0)


def test_age_of_earlier_runs_needs_a_set_clock():
    """Before the clock is known to be set nothing of an earlier run expires; a later step changes nothing."""
    age = AgeLimit(100, first_row=10)
    assert not age.expired(5, 0, 1000.0)
    age.set_clock(50_000, 1000.0)
    age.set_clock(10**15, 1001.0)
    assert not age.expired(5, 0, 1050.0)
    assert age.expired(5, 0, 1050.1)


# --- streams and memo -------------------------------------------------------------------------------------------------


def test_low_waits_for_what_is_not_committed():
    """With nothing on disk and something waiting, low stays at the first that waits."""
    book = StreamBook("E")
    track = book.of("a")
    track.stream.next, track.pending, track.committed = 5, 2, 2
    book.in_file(track)
    book.settle(Low(track.id, None, rows=False))
    assert track.stream.low == 3
    track.pending = 0
    book.settle(Low(track.id, None, rows=False))
    assert track.stream.low == 5


def test_streams_with_rows_are_taken_over():
    """Streams of earlier runs are there while they have rows; new ones get ids of their own."""
    book = StreamBook("E")
    stored = [StoredStream(3, "D", "a", 8, 0), StoredStream(7, "D", "b", 4, 0)]
    book.load(stored, [Low(3, 5, rows=True)], keep=())
    assert [(one.epoch, one.device, one.low, one.next) for one in book.streams(0)] == [("D", "a", 5, 8)]
    track = book.of("b")
    assert not book.in_file(track)
    assert track.id == 8


@given(st.sets(st.integers(1, 60)))
def test_runs_cover_exactly_their_rows(rows):
    """Ranges without holes, and nothing else."""
    result = runs(list(rows))
    assert {row for low, high in result for row in range(low, high + 1)} == rows
    assert all(first[1] + 1 < second[0] for first, second in pairwise(result))


def test_a_failed_commit_keeps_newer_notes():
    """What was put after the failure wins over what is put back."""
    memo = CachedMemo()
    memo.put("a", b"1")
    memo.put("b", b"1")
    taken = memo.take()
    memo.put("a", b"2")
    memo.put_back(taken)
    assert memo.dirty == {"a": b"2", "b": b"1"}
    memo.load({"a": b"0", "c": b"0"})
    assert (memo.get("a"), memo.get("b"), memo.get("c")) == (b"2", b"1", b"0")


def test_a_consumer_is_told_committed_numbers_only() -> None:
    """A number that waits for its commit may never come to be: after a kill nobody may call it missing."""
    book = StreamBook("E")
    track = book.of("a")
    assert book.in_file(track) is False
    track.stream.next, track.pending = 4, 3
    assert track.stream.safe == 1
    track.pending, track.committed = track.pending - 1, 1
    book.settle(Low(track.id, 1, rows=True))
    assert (track.stream.safe, track.stream.next) == (2, 4)
