from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent.core.columns import ColumnLayout, ReadingColumns
from agent.core.flow import Batch, Gap, Reading
from agent.normalize.joined import Joined
from agent.outbox.file.pack import Undecodable, columns, make_storable, pack_batch, pack_gap, squeezed, unpack
from agent.outbox.split import Packer, pieces, plan
from agent.outbox.weights import sizes, total

TS = 1_763_760_000_000

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=8),
)
TIMES = st.integers(-(2**40), 2**45)
OPTIONAL_TEXT = st.none() | st.text(max_size=5)
READINGS = st.builds(
    Reading,
    tag=st.text(min_size=1, max_size=6),
    value=SCALARS | st.lists(SCALARS, max_size=3),
    ts=TIMES,
    quality=st.sampled_from(["good", "uncertain", "bad"]),
    src=st.none() | TIMES,
    unit=OPTIONAL_TEXT,
    label=OPTIONAL_TEXT,
    code=OPTIONAL_TEXT,
    status=st.none() | st.integers(0, 2**32 - 1),
    reason=OPTIONAL_TEXT,
    why=st.sampled_from([None, "initial", "recovered", "heartbeat", "offline", "disabled"]),
)
BATCHES = st.builds(
    Batch,
    device=st.text(min_size=1, max_size=6),
    ts=TIMES,
    readings=st.lists(READINGS, min_size=1, max_size=30),
    cat=st.integers(1, 9),
    snapshot=st.booleans(),
    clock=st.sampled_from([None, "unsynced"]),
    bad=st.integers(0, 30),
    uncertain=st.integers(0, 30),
)
GAPS = st.builds(
    Gap,
    id=st.text(max_size=3),
    kind=st.sampled_from(["dropped", "expired", "quarantined", "overflow", "missed", "down", "lost"]),
    device=st.text(max_size=3),
    from_ts=TIMES,
    to_ts=TIMES,
    reason=st.text(max_size=3),
    epoch=OPTIONAL_TEXT,
    from_seq=st.none() | st.integers(1, 2**62),
    to_seq=st.none() | st.integers(1, 2**62),
    tags=st.none() | st.lists(st.text(max_size=3), max_size=3),
    records=st.none() | st.integers(0, 9),
    readings=st.none() | st.integers(0, 9),
)


def _by_answer(times: list[int], sizes: list[int]) -> tuple[Sequence[int] | int, list[ReadingColumns]]:
    """The times of several answers, one each, as the normalizer joins them."""
    parts = [ReadingColumns(ColumnLayout(("t",) * size), [0] * size, ts) for ts, size in zip(times, sizes, strict=True)]
    joined = Joined()(parts)
    assert joined is not None
    return joined.ts, parts


@st.composite
def whole(draw: st.DrawFn) -> Batch:
    """A batch of whole columns, some of which repeat themselves, of one answer or several."""
    sizes = draw(
        st.one_of(st.lists(st.integers(1, 40), min_size=1, max_size=1), st.lists(st.integers(1, 9), min_size=2))
    )
    n = sum(sizes)

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=n, max_size=n)) if draw(st.booleans()) else [draw(values)] * n

    tags, units = column(st.text(min_size=1, max_size=6)), column(OPTIONAL_TEXT)
    values = column(st.floats(allow_nan=False) if draw(st.booleans()) else SCALARS.filter(lambda one: one is not None))
    ts = draw(st.one_of(TIMES, st.just(column(TIMES))))
    src = column(st.none() | TIMES)
    layout = ColumnLayout(tuple(tags), tuple(units) if any(units) else None)
    labels = column(OPTIONAL_TEXT) if draw(st.booleans()) else [None]
    columns = ReadingColumns(layout, values, ts, src if draw(st.booleans()) else None, labels if any(labels) else None)
    if len(sizes) > 1 and draw(st.booleans()):
        columns.ts, columns.parts = _by_answer([draw(TIMES) for _ in sizes], sizes)
        ts = columns.ts
    readings = [
        Reading(tag, value, when, "good", source, unit, label)
        for tag, value, when, source, unit, label in zip(
            tags, values, [ts] * n if isinstance(ts, int) else ts, columns.src or [None] * n,
            layout.units or [None] * n, columns.labels or [None] * n, strict=True,
        )
    ]  # fmt: skip
    return Batch("d", draw(TIMES), readings, cat=3, clock=draw(st.sampled_from([None, "unsynced"])), columns=columns)


def exact(batch: Batch | Gap) -> str:
    """A representation that tells 1, 1.0 and True, and 0.0 and -0.0 apart."""
    return repr(batch)


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_a_batch_comes_back_exactly(batch):
    """Every field of every reading, with its type, survives the disk."""
    assert exact(unpack(pack_batch(batch))) == exact(batch)


@given(GAPS)
def test_a_gap_comes_back_exactly(gap):
    """Every field of a gap survives the disk."""
    assert unpack(pack_gap(gap)) == gap


def test_not_a_number_survives():
    """NaN and infinity are kept as they are; what to say about them is the encoder's."""
    batch = Batch("d", TS, [Reading("a", math.nan, TS, "bad"), Reading("b", -math.inf, TS, "bad")])
    back = unpack(pack_batch(batch))
    assert isinstance(back, Batch)
    assert [str(reading.value) for reading in back.readings] == ["nan", "-inf"]


def test_a_plain_reading_takes_less_than_forty_bytes():
    """10,000 readings a second fit half an hour in 1 GiB only below 59 bytes each."""
    readings = [Reading(f"oil_temp_{i:06d}", i * 1.1, TS, "good", unit="Cel") for i in range(1000)]
    assert len(pack_batch(Batch("press-01", TS, readings))) / 1000 < 40


@settings(max_examples=50, deadline=None)
@given(BATCHES, st.data())
def test_a_flipped_bit_is_noticed(batch, data):
    """Damage never becomes a wrong value."""
    packed = bytearray(pack_batch(batch))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Undecodable):
        unpack(bytes(packed))


@given(st.binary(max_size=64))
def test_garbage_is_undecodable(data):
    """Whatever the bytes, the answer is Undecodable and nothing else."""
    with pytest.raises(Undecodable):
        unpack(data)


def test_values_that_cannot_be_stored_become_bad():
    """A bug upstream costs its reading, said as bad, and not the batch."""
    batch = Batch("d", TS, [Reading("a", 2**70, TS, "good"), Reading("b", 1, TS, "good")])
    (only, packed), *more = pieces(batch, 96 << 10)
    assert not more
    assert [(one.value, one.quality) for one in only.readings] == [(None, "bad"), (1, "good")]
    assert only.bad == 1
    assert only.readings[0].code == "BadEncodingLimitsExceeded"
    assert unpack(packed) == only
    assert make_storable(batch) == only
    assert batch.readings[0].value == 2**70


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.integers(1000, 4000))
def test_pieces_are_the_whole_in_order(batch, limit):
    """Cutting loses and reorders nothing, counts afresh, and packs each piece."""
    result = pieces(batch, limit)
    assert repr([reading for piece, _ in result for reading in piece.readings]) == repr(batch.readings)
    assert all(repr(unpack(packed)) == repr(piece) for piece, packed in result)
    if len(result) == 1:
        assert result[0][0] is batch
    else:
        qualities = [reading.quality for reading in batch.readings]
        assert sum(piece.bad for piece, _ in result) == qualities.count("bad")
        assert sum(piece.uncertain for piece, _ in result) == qualities.count("uncertain")
        assert all(piece.snapshot == batch.snapshot and piece.cat == batch.cat for piece, _ in result)


@settings(max_examples=200, deadline=None)
@given(whole(), st.integers(1000, 8000))
def test_whole_columns_have_the_bytes_of_their_readings(batch, limit):
    """Cut alike, too; and a second time, when what repeats is remembered."""
    apart = structs.replace(batch, columns=None)
    for _ in range(2):
        made = [(structs.replace(piece, columns=None), packed) for piece, packed in pieces(batch, limit)]
        assert made == pieces(apart, limit)


@pytest.mark.parametrize(("answers", "size"), [(16, 62), (4, 2), (3, 3), (33, 4), (40, 9), (12, 1), (3, 2), (9, 2)])
@pytest.mark.parametrize("repeats", [1, 2])
def test_times_of_several_answers_have_the_bytes_of_single_ones(answers, size, repeats):
    """However many there are, and where some came in one millisecond."""
    times, parts = _by_answer([TS + at // repeats for at in range(answers)], [size] * answers)
    assert isinstance(times, list)
    tags, values = tuple(f"t{at}" for at in range(len(times))), [1.5] * len(times)
    readings = [Reading(tag, 1.5, ts, "good") for tag, ts in zip(tags, times, strict=True)]
    batch = Batch("d", TS + 7, readings, columns=ReadingColumns(ColumnLayout(tags), values, times, parts=parts))
    assert pieces(batch, 96 << 10)[0][1] == pack_batch(batch)


@settings(max_examples=100, deadline=None)
@given(BATCHES)
def test_the_estimate_is_an_upper_bound(batch):
    """What is cut by the estimate fits the message."""
    import msgspec

    c = columns(batch.readings)
    real = [len(msgspec.json.encode(reading)) for reading in batch.readings]
    assert all(size >= exactly for size, exactly in zip(sizes(c), real, strict=True))
    assert total(c) >= sum(sizes(c)) - 1
    assert total(c) >= sum(real)


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(100, 2000), st.integers(1, 20))
def test_a_plan_keeps_its_limits(weights, limit, most):
    """Ranges join without holes, and only a reading too large by itself exceeds the limit."""
    ranges = plan(weights, limit, most)
    assert [position for start, end in ranges for position in range(start, end)] == list(range(len(weights)))
    for start, end in ranges:
        assert end - start <= most
        assert sum(weights[start:end]) <= limit or end - start == 1


def test_a_value_that_no_message_can_carry_is_not_kept():
    """Its neighbours are; what a denser form might carry is left to the encoder."""
    values = ["x" * 200_000, {"a": ["y" * 60_000] * 2}, [1.5] * 30_000, [True] * 60_000, None, "z" * 90_000, 7]
    batch = Batch("d", TS, [Reading(f"t{at}", value, TS, "good") for at, value in enumerate(values)])
    made = pieces(batch, 96 << 10)
    kept = [reading for piece, _ in made for reading in piece.readings]
    assert [reading.value is not None for reading in kept] == [False, False, False, True, False, True, True]
    assert (kept[0].quality, kept[0].code) == ("bad", "BadEncodingLimitsExceeded")
    assert kept[0].reason == "a value of 200000 bytes or more is over the message limit of 98304"
    assert sum(piece.bad for piece, _ in made) == 3


def test_a_batch_is_packed_once_for_all_routes():
    """Routes with the same limit share pieces and bytes."""
    packer, batch = Packer(), Batch("d", TS, [Reading("a", 1, TS, "good")])
    assert packer(batch, 1000) is packer(batch, 1000)
    assert packer(batch, 1000) is not packer(batch, 2000)
    assert packer(Batch("d", TS, list(batch.readings)), 1000) is not packer(batch, 1000)


def test_deflated_records_are_the_same():
    """What is not worth it, and declarations, stay as they are; a flipped bit is found as ever."""
    small = Batch("press-01", TS, [Reading("t", 1, TS, "good")])
    assert squeezed(pack_batch(small)) == pack_batch(small)
    large = Batch("press-01", TS, [Reading(f"oil_temp_{i:04d}", i * 1.5, TS, "good", unit="Cel") for i in range(500)])
    packed = squeezed(pack_batch(large))
    assert len(packed) < len(pack_batch(large)) * 2 / 3
    assert unpack(packed) == large
    for position in (0, 1, 2, 100, len(packed) - 1):
        spoilt = bytearray(packed)
        spoilt[position] ^= 1
        with pytest.raises(Undecodable):
            unpack(bytes(spoilt))
    rest = b"\x03no deflated batch"
    with pytest.raises(Undecodable, match="cannot be decoded"):
        unpack(rest + zlib.crc32(rest).to_bytes(4, "little"))
