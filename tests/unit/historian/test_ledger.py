from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.historian.ledger import Book, committed_at
from tests.support.historian import gap

steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(1, 40), st.booleans()),
        st.tuples(st.just("low"), st.integers(1, 40)),
        st.tuples(st.just("ended"), st.integers(1, 40)),
        st.tuples(
            st.just("declare"), st.sampled_from(["lost", "dropped", "down", "missed"]),
            st.integers(1, 40), st.none() | st.integers(1, 40),
        ),
        st.tuples(st.just("began")),
        st.tuples(st.just("kept")),
    ),
    max_size=40,
)  # fmt: skip


class Plain:
    """The same with sets of numbers, word by word as the documentation has it."""

    def __init__(self):
        self.base, self.bound, self.seen, self.declared = None, 1, set(), set()

    def missing(self):
        begin = self.bound if self.base is None else self.base
        return set(range(begin, self.bound)) - self.seen - self.declared


@given(steps)
def test_the_book_counts_as_sets_do(story):
    """Whatever comes in whatever order, also when it is written down and read again in between."""
    book, plain = Book(), Plain()
    for step in story:
        match step:
            case ("hear", seq, first):
                assert book.hear(seq, first=first) == (seq not in plain.seen)
                plain.base = seq if plain.base is None and first else plain.base
                plain.seen.add(seq)
            case ("low", low):
                book.says_low(low)
                plain.base = 1 if low == 1 else plain.base
                plain.bound = max(plain.bound, low)
            case ("ended", following):
                book.ended(following)
                plain.bound = max(plain.bound, following)
            case ("declare", kind, first, last):
                book.declare(gap(kind, first, last).notice)
                if kind == "down" and last is not None:
                    plain.bound = max(plain.bound, last + 1)
                elif kind in ("lost", "dropped"):
                    plain.declared |= set(range(first, 100 if last is None else last + 1))
            case ("began",):
                book.began()
                plain.base = 1
            case ("kept",):
                book = Book(book.base, book.low, book.bound, list(book.seen), list(book.declared))
        assert {seq for begin, end in book.holes() for seq in range(begin, end)} == plain.missing()
        assert book.lacking == len(plain.missing())


def test_a_closed_stream_misses_nothing():
    """Its store is gone; what comes all the same counts as received."""
    book = Book(1, 1, 10)
    assert book.lacking == 9
    book.close()
    assert book.lacking == 0
    assert book.hear(3, first=False)


def test_when_a_record_was_committed():
    """By how many came in each quarter of an hour, also where old ones were thrown away or given up."""
    seen, slots = [(1, 5), (9, 11), (20, 22)], [(100, 4), (200, 3), (300, 1)]
    asked = (0, 1, 4, 8, 9, 10, 19, 20, 21, 30)
    assert [committed_at(seen, slots, seq) for seq in asked] == [100, 100, 100, 100, 200, 200, 200, 200, 300, 300]
    assert [committed_at(seen, slots[1:], seq) for seq in (4, 9)] == [200, 200]
    assert committed_at(seen[1:], slots, 9) == 200
    assert committed_at([], [], 0) is None
