from __future__ import annotations

import pytest
from asyncua.ua.status_codes import StatusCodes

from agent.core.quality import is_status_name, name_of, number_of, quality_of

THEIRS = {name: number for name, number in vars(StatusCodes).items() if isinstance(number, int)}


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0, "good"),
        (0x00300000, "good"),
        (0x3FFFFFFF, "good"),
        (0x40000000, "uncertain"),
        (0x40940480, "uncertain"),
        (0x80000000, "bad"),
        (0xC0000000, "bad"),
        (0xFFFFFFFF, "bad"),
    ],
)
def test_severity(status, quality):
    """The two highest bits say how good; the reserved severity counts as bad."""
    assert quality_of(status) == quality


def test_names_and_numbers_belong_together():
    """Each name gives its number and the number its name, flags or not."""
    for name in THEIRS:
        if is_status_name(name):
            number = number_of(name)
            assert name_of(number) == name
            assert name_of(number | 0x0480) == name
            assert quality_of(number) == next(q for q in ("good", "uncertain", "bad") if name.lower().startswith(q))


def test_agrees_with_another_table():
    """Every name has the number that the OPC UA library gives it."""
    shared = [name for name in THEIRS if is_status_name(name)]
    assert len(shared) > 200
    assert {name: number_of(name) for name in shared} == {name: THEIRS[name] for name in shared}


@pytest.mark.parametrize(
    ("status", "name"),
    [(0, "Good"), (0x480, "Good"), (0x80FF0000, "Bad0x80FF0000"), (0x40FF0001, "Uncertain0x40FF0000")],
)
def test_unknown_codes_have_a_name(status, name):
    """A code the table does not know still says its severity and number."""
    assert name_of(status) == name


def test_unknown_names():
    """A name the standard does not have is no status."""
    assert not is_status_name("BadWeather")
    assert is_status_name("Good")
    with pytest.raises(KeyError):
        number_of("BadWeather")
