"""What a broker hangs up on beside the data: accused, sent alone, left out, forgotten."""

from __future__ import annotations

from agent.runtime.north.unwelcome import DROPS, FORGOTTEN_AFTER, Unwelcome

TOPICS = ("edge/d0/status", "edge/d0/tags", "edge/d1/tags", "edge/d2/tags/1")


def drop(unwelcome: Unwelcome, *topics: str, alone: str | None = None, heard: bool = True, now: float = 0.0) -> object:
    """One session that ends with these in flight."""
    unwelcome.session("broker")
    unwelcome.alone(alone)
    for topic in topics:
        unwelcome.dropped(topic)
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
