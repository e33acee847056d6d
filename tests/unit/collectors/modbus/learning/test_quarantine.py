from __future__ import annotations

import pytest

from agent.collectors.modbus.blocks.reactions import reaction_to
from agent.collectors.modbus.learning.quarantine import FIRST_PROBE_SECONDS, LAST_PROBE_SECONDS, Quarantine
from agent.core.quality import is_status_name, name_of, quality_of

ILLEGAL = reaction_to(2)


def test_news_are_said_once() -> None:
    """Only what was not known before is news."""
    quarantine = Quarantine()
    assert quarantine.learn({1: ILLEGAL, 2: ILLEGAL}, 0.0) == [1, 2]
    assert quarantine.learn({2: ILLEGAL, 3: ILLEGAL}, 10.0) == [3]
    assert 1 in quarantine
    assert 4 not in quarantine


def test_probes_back_off() -> None:
    """A tag is probed soon at first, then after twice the time, at last every ten minutes; longest overdue first."""
    quarantine = Quarantine()
    quarantine.learn({1: ILLEGAL, 2: ILLEGAL}, 0.0)
    quarantine.learn({2: ILLEGAL}, 10.0)
    assert quarantine.due([1, 2], FIRST_PROBE_SECONDS - 1) == []
    assert quarantine.due([1, 2], FIRST_PROBE_SECONDS) == [1]
    assert quarantine.due([2, 1], 1000.0) == [1, 2]
    waits = []
    for _ in range(8):
        now = next(now for now in range(10_000) if quarantine.due([1], now))
        quarantine.learn({1: ILLEGAL}, 0.0)
        waits.append(now)
    assert waits == [15, 30, 60, 120, 240, 480, 600, 600]
    assert LAST_PROBE_SECONDS == 600


def test_a_probe_under_way_is_not_due() -> None:
    """What has been asked is not asked again before its time, answer or not."""
    quarantine = Quarantine()
    quarantine.learn({1: ILLEGAL}, 0.0)
    quarantine.postpone([1, 7], 15.0)
    assert quarantine.due([1, 7], 29.0) == []
    assert quarantine.due([1, 7], 30.0) == [1]


def test_a_tag_that_was_read_is_free() -> None:
    """Release says which tags had been refused, and forgets them."""
    quarantine = Quarantine()
    quarantine.learn({1: ILLEGAL}, 0.0)
    assert quarantine.release([1, 2], 20.0) == [1]
    assert quarantine.release([1], 20.0) == []
    assert 1 not in quarantine
    assert quarantine.due([1], 1e9) == []


def test_what_is_not_supported_is_probed_rarely() -> None:
    """A device that boots says of functions that it does not have them; who has none is asked every ten minutes."""
    quarantine = Quarantine()
    quarantine.learn({1: reaction_to(1)}, 0.0)
    assert quarantine.due([1], LAST_PROBE_SECONDS - 1) == []
    assert quarantine.due([1], LAST_PROBE_SECONDS) == [1]


def test_what_was_read_once_is_never_called_unreadable() -> None:
    """A register that fails now and then, or is gone since a while, is nothing to be left out for ever."""
    quarantine = Quarantine()
    quarantine.lapse([1, 2])
    quarantine.learn(dict.fromkeys((1, 2, 3), ILLEGAL), 0.0)
    quarantine.release([1], 5.0)
    quarantine.learn({2: ILLEGAL}, 5.0)
    assert quarantine.for_good() == [3]


def test_every_exception_code_is_bad_and_has_a_name() -> None:
    """Whatever code a device sends, its tags get a bad status the standard knows, and words."""
    for code in range(1, 256):
        reaction = reaction_to(code)
        assert quality_of(reaction.status) == "bad"
        assert is_status_name(name_of(reaction.status))
        assert reaction.reason
    assert reaction_to(0x42).reason == "exception code 0x42"


@pytest.mark.parametrize(
    ("code", "expected"), [(2, [15, 30, 30, 30, 30, 30, 30]), *((code, [1, 2, 4, 8, 16, 30, 30]) for code in (4, 11))]
)
def test_what_was_read_before_is_probed_often(code: int, expected: list[int]) -> None:
    """Tags that were read before are probed every 30 s at least, sooner at first where the device only failed."""
    quarantine = Quarantine()
    quarantine.lapse([1])
    waits = []
    for _ in expected:
        quarantine.learn({1: reaction_to(code)}, 0.0)
        waits.append(next(now for now in range(10_000) if quarantine.due([1], now)))
    assert waits == expected


def test_one_that_is_back_brings_the_others() -> None:
    """When one of the tags that lapsed together is read again, all are asked at once, and who stays away is alone."""
    quarantine = Quarantine()
    quarantine.lapse([1, 2, 3])
    quarantine.learn(dict.fromkeys((1, 2, 3, 4), ILLEGAL), 0.0)
    assert quarantine.together([1, 2, 3, 4], [2])[0] == [1, 2, 3]
    assert {quarantine.together([1, 2, 3], [1])[1] for _ in range(3)} == {1, 2, 3}, "each is asked alone in its turn"
    assert quarantine.release([2], 5.0) == [2]
    assert quarantine.due([1, 3, 4], 5.0) == [1, 3]
    assert quarantine.together([1, 3], [1, 3]) == ([], None), "alone from now on"
    quarantine.release([1], 5.0)
    for _ in range(6):
        quarantine.learn({3: ILLEGAL}, 5.0)
    assert quarantine.due([3], 5.0 + LAST_PROBE_SECONDS - 1) == []


def test_what_was_read_is_probed_whatever_it_is_refused_with() -> None:
    """An illegal function is asked for soon only where the device knew it a moment ago."""
    quarantine = Quarantine()
    quarantine.lapse([1])
    quarantine.learn(dict.fromkeys((1, 2), reaction_to(1)), 0.0)
    assert quarantine.due([1, 2], LAST_PROBE_SECONDS - 1) == [1]
