"""What a broker hangs up on beside the data: accused, sent alone, left out, forgotten."""

from __future__ import annotations

from agent.runtime.north.unwelcome import DROPS, FORGOTTEN_AFTER, Unwelcome

TOPICS = ("edge/d0/status", "edge/d0/tags", "edge/d1/tags", "edge/d2/tags/1")
BIRTHS = ("spBv1.0/g/DBIRTH/gw/12", "spBv1.0/g/DBIRTH/gw/13")


def drop(
    unwelcome: Unwelcome, *topics: str, alone: str | None = None, heard: bool = True, now: float = 0.0,
    large: bool = False, limit: int | None = None,
) -> object:  # fmt: skip
    """One session that ends with these in flight."""
    unwelcome.session("broker", limit)
    unwelcome.alone(alone)
    for topic in topics:
        unwelcome.dropped(topic, large=large)
    return unwelcome.ended(heard=heard, now=now)


def accuse(unwelcome: Unwelcome, *topics: str) -> None:
    for _ in range(DROPS):
        assert drop(unwelcome, *topics) is None


def test_three_in_a_row_accuse_and_one_alone_leaves_out() -> None:
    """What was in flight only sometimes, or was taken since, is as welcome as ever."""
    unwelcome = Unwelcome()
    drop(unwelcome, *TOPICS[:2])
    drop(unwelcome, *TOPICS[:2])
    drop(unwelcome, TOPICS[1])
    assert [unwelcome.judge(topic, 0.0) for topic in TOPICS[:2]] == ["welcome", "accused"]
    assert drop(unwelcome, TOPICS[1], alone=TOPICS[1]) == TOPICS[1]
    assert unwelcome.judge(TOPICS[1], 0.0) == "left out"
    accuse(unwelcome, TOPICS[0])
    unwelcome.taken(TOPICS[0])
    assert unwelcome.judge(TOPICS[0], 0.0) == "welcome"


def test_two_of_a_kind_stand_for_all_of_it() -> None:
    """Parts of a catalogue are of its kind; others of the kind are accused as soon as one is left out."""
    unwelcome = Unwelcome()
    accuse(unwelcome, TOPICS[1])
    drop(unwelcome, TOPICS[1], alone=TOPICS[1])
    assert [unwelcome.judge(topic, 0.0) for topic in TOPICS] == ["welcome", "left out", "accused", "accused"]
    assert drop(unwelcome, TOPICS[2], alone=TOPICS[2]) == "#/tags"
    assert [unwelcome.judge(topic, 0.0) for topic in TOPICS] == ["welcome", "left out", "left out", "left out"]
    assert unwelcome.judge(TOPICS[1], FORGOTTEN_AFTER) == "welcome"


def test_a_broker_that_takes_nothing_at_all_convicts_nobody_at_once() -> None:
    """Where nothing was heard in the session, three such ends are needed; another broker knows nothing of it."""
    unwelcome = Unwelcome()
    accuse(unwelcome, TOPICS[0])
    ends = [drop(unwelcome, TOPICS[0], alone=TOPICS[0], heard=False) for _ in range(DROPS)]
    assert ends == [None, None, TOPICS[0]]
    unwelcome.session("other")
    assert unwelcome.judge(TOPICS[0], 0.0) == "welcome"


def test_the_parts_of_a_catalogue_are_one_topic() -> None:
    """However many there are at the limit of the day: three disconnects are enough for all of them."""
    unwelcome = Unwelcome()
    for parts in (1, 2, 5):
        assert drop(unwelcome, TOPICS[1], *(f"{TOPICS[1]}/{part}" for part in range(1, parts))) is None
    assert unwelcome.accused() == [TOPICS[1]]
    assert unwelcome.judge(f"{TOPICS[1]}/7", 0.0) == "accused"
    assert drop(unwelcome, TOPICS[1], f"{TOPICS[1]}/1", alone=TOPICS[1]) == TOPICS[1]


def test_a_part_that_is_taken_does_not_clear_the_next_one() -> None:
    """A broker that forbids `tags/2` acknowledges `tags` and `tags/1` each time before it disconnects."""
    unwelcome, whole = Unwelcome(), "edge/d2/tags"
    for end in range(DROPS + 1):
        assert unwelcome.judge(whole, 0.0) == ("welcome" if end < DROPS else "accused")
        unwelcome.session("broker")
        unwelcome.alone(whole if end == DROPS else None)
        unwelcome.taken(whole)
        unwelcome.taken(f"{whole}/1")
        unwelcome.dropped(f"{whole}/2")
        said = unwelcome.ended(heard=True, now=0.0)
    assert said == whole
    assert unwelcome.judge(whole, 0.0) == "left out"


def test_a_device_named_by_a_number_is_no_part() -> None:
    """Two of them left out say nothing of the node's own birth."""
    unwelcome = Unwelcome()
    for birth in BIRTHS:
        accuse(unwelcome, birth)
        assert drop(unwelcome, birth, alone=birth) == birth
    assert unwelcome.judge("spBv1.0/g/NBIRTH/gw", 0.0) == "welcome"


def test_what_may_be_too_large_gives_way_to_the_next() -> None:
    """Until a smaller limit, which begins anew, or too many of its own ends."""
    unwelcome = Unwelcome()
    accuse(unwelcome, *BIRTHS)
    for limit in (None, 5000):
        for _ in range(DROPS):
            first, second = unwelcome.accused()
            assert drop(unwelcome, first, alone=first, large=True, limit=limit) is None
            assert unwelcome.accused() == [second, first]
    unwelcome.taken(BIRTHS[1])
    (last,) = unwelcome.accused()
    ends = [drop(unwelcome, last, alone=last, large=True, limit=5000) for _ in range(DROPS)]
    assert [end for end in ends if end] == [BIRTHS[0]]
