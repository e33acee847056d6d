from __future__ import annotations

from agent.collectors.modbus.quarantine import PROBE_SECONDS, Quarantine
from agent.collectors.modbus.reactions import reaction_to
from agent.core.quality import is_status_name, name_of, quality_of

ILLEGAL = reaction_to(2)


def test_news_are_said_once() -> None:
    """Only what was not known before is news; known tags are probed again a minute later."""
    quarantine = Quarantine()
    assert quarantine.learn({1: ILLEGAL, 2: ILLEGAL}, 0.0) == [1, 2]
    assert quarantine.learn({2: ILLEGAL, 3: ILLEGAL}, 30.0) == [3]
    assert 1 in quarantine
    assert 4 not in quarantine
    assert quarantine.due([1, 2, 3, 4], PROBE_SECONDS) == [1]
    assert quarantine.due([1, 2, 3, 4], PROBE_SECONDS + 30) == [1, 2, 3]


def test_only_some_are_probed_in_a_cycle() -> None:
    """Probing hundreds of bad tags is spread over cycles, the longest overdue first."""
    quarantine = Quarantine()
    quarantine.learn(dict.fromkeys(range(5, 10), ILLEGAL), 1.0)
    quarantine.learn(dict.fromkeys(range(5), ILLEGAL), 2.0)
    first = quarantine.due(range(10), 100.0)
    assert first == [5, 6, 7, 8]
    quarantine.postpone(first, 100.0)
    assert quarantine.due(range(10), 100.0) == [9, 0, 1, 2]


def test_a_tag_that_was_read_is_free() -> None:
    """Release says which tags had been refused, and forgets them."""
    quarantine = Quarantine()
    quarantine.learn({1: ILLEGAL}, 0.0)
    assert quarantine.release([1, 2]) == [1]
    assert quarantine.release([1]) == []
    assert 1 not in quarantine
    quarantine.postpone([1], 0.0)
    assert quarantine.due([1], 1e9) == []


def test_what_is_not_supported_is_never_probed() -> None:
    """After exception 01 only a new connection tries again."""
    quarantine = Quarantine()
    quarantine.learn({1: reaction_to(1)}, 0.0)
    assert quarantine.due([1], 1e9) == []


def test_every_exception_code_is_bad_and_has_a_name() -> None:
    """Whatever code a device sends, its tags get a bad status the standard knows, and words."""
    for code in range(1, 256):
        reaction = reaction_to(code)
        assert quality_of(reaction.status) == "bad"
        assert is_status_name(name_of(reaction.status))
        assert reaction.reason
    assert reaction_to(0x42).reason == "exception code 0x42"
