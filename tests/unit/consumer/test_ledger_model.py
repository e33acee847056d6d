"""The books against a brute-force model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.streams import HeardStream, StreamKey
from tests.unit.consumer.side import Side

KEY = StreamKey("gw", "E1", "press")


@st.composite
def histories(draw):
    """What a correct agent sends over several connections, with what is declared lost: (kind, ...) in order."""
    count = draw(st.integers(1, 40))
    dropped = draw(st.sets(st.integers(2, count), max_size=8)) if count > 1 else set()
    first = draw(st.integers(1, count))
    order = [seq for seq in range(1, count + 1) if seq not in dropped]
    late = [seq for seq in order if seq > first and draw(st.integers(0, 3)) == 0]
    live = [seq for seq in order if seq not in late]
    events = [("record", seq) for seq in live] + [("late", seq) for seq in late]
    events += [("gap", seq) for seq in dropped]
    for event in draw(st.lists(st.sampled_from(events), max_size=5)):
        events.insert(draw(st.integers(events.index(event) + 1, len(events))), event)
    return events


def play(events):
    """Feed the events with a truthful `low`: nothing below it is unsent or undeclared at that moment."""
    side = Side()
    remaining: dict[int, int] = {}
    for place, event in enumerate(events):
        remaining.setdefault(event[1], place)
    for place, (kind, seq) in enumerate(events):
        open_numbers = [number for number, first in remaining.items() if first >= place]
        low = min(open_numbers, default=max(remaining) + 1)
        if kind == "gap":
            side.gap("dropped", seq, seq)
        else:
            side.record(seq, low=low, historical=kind == "late")
    return side


@given(events=histories())
def test_a_correct_agent_is_never_blamed(events):
    """Whatever the order of backlog, live, gaps and repetitions: nothing is missing, nothing pending at the end."""
    side = play(events)
    assert side.audit.ok
    assert side.audit.pending() == 0
    assert side.audit.ledger.counts["duplicate"] == sum(kind != "gap" for kind, _ in events) - len(
        {seq for kind, seq in events if kind != "gap"}
    )


@given(events=histories(), data=st.data())
def test_whatever_is_taken_out_is_found(events, data):
    """Drop every copy of one record between the first and the last, and exactly that number is missing."""
    heard = [seq for kind, seq in events if kind != "gap"]
    inner = [seq for seq in set(heard) if heard[0] < seq < max(heard)]
    if not inner:
        return
    victim = data.draw(st.sampled_from(inner))
    mutated = [event for event in events if event[1] != victim]
    side = play(mutated)
    side.record(max(heard) + 1, low=max(heard) + 1)
    assert side.missing == [("press", victim, victim)]


@given(events=histories(), data=st.data())
def test_a_second_payload_under_one_key_is_found(events, data):
    """Say one number again with another value anywhere later: a conflict, and nothing else."""
    side = play(events)
    victim = data.draw(st.sampled_from([seq for kind, seq in events if kind != "gap"]))
    side.record(victim, value=-1)
    assert [(f.kind, f.first) for f in side.found() if f.kind != "disorder"] == [("conflict", victim)]


@given(
    messages=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40),
    gaps=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=4),
)
def test_holes_are_those_of_the_definition(messages, gaps):
    """Arbitrary numbers and lows: missing = below low, pending = from low on, both from base and undeclared."""
    stream = HeardStream(KEY)
    for seq, low in messages:
        stream.hear(seq, low, None, b"")
    for first, more in gaps:
        stream.declare(first, first + more)
    seen = {seq for seq, _ in messages}
    declared = {first + offset for first, more in gaps for offset in range(more + 1)}
    base, low, end = messages[0][0], max(low for _, low in messages), max(seen) + 1
    expected = {
        number: "missing" if number < low else "pending" for number in range(base, end) if number not in seen | declared
    }
    found = {number: hole.state for hole in stream.holes() for number in range(hole.first, hole.last + 1)}
    assert found == expected
