from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.zones import LocalTime

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
YEAR = 365 * 86_400_000


@given(st.sampled_from(ZONES), st.integers(20 * YEAR, 60 * YEAR))
def test_what_a_clock_shows_tells_the_instant(zone: str, utc: int) -> None:
    """Read at the instant itself, local time is never ambiguous: the later one would still be to come."""
    clock = LocalTime(ZoneInfo(zone))
    assert clock.utc(utc + clock.ahead(utc), utc) == utc


@given(st.sampled_from(ZONES), st.integers(20 * YEAR, 60 * YEAR))
def test_it_shows_what_the_standard_library_shows(zone: str, utc: int) -> None:
    """In every zone, at every instant."""
    shown = dt.datetime.fromtimestamp(utc // 1000, ZoneInfo(zone)).replace(tzinfo=dt.UTC)
    assert utc + LocalTime(ZoneInfo(zone)).ahead(utc) == int(shown.timestamp()) * 1000 + utc % 1000


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("shown", "now", "utc"),
    [
        ("2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T00:30"),  # comes twice: now for the first time
        ("2026-10-25T02:30", "2026-10-25T01:30", "2026-10-25T01:30"),
        ("2026-10-25T02:30", "2026-11-25T00:00", "2026-10-25T01:30"),
        ("2026-03-29T02:30", "2026-03-29T02:00", "2026-03-29T01:30"),  # is left out: a clock nobody put forward
        ("2026-07-01T12:00", "2026-07-01T10:00", "2026-07-01T10:00"),
    ],
)
def test_the_odd_hours(shown: str, now: str, utc: str) -> None:
    """As the docs tell it."""
    assert LocalTime(ZoneInfo("Europe/Berlin")).utc(ms(shown), ms(now)) == ms(utc)


@pytest.mark.parametrize("zone", [dt.UTC, dt.timezone(dt.timedelta(hours=8)), ZoneInfo("Europe/Berlin")])
def test_a_time_that_is_none(zone: dt.tzinfo) -> None:
    """1601, the year 10000 and beyond are numbers like any other: nobody will believe them."""
    for absurd in (-11_644_473_600_000, 253_402_300_800_000, 1 << 62, -(1 << 62)):
        LocalTime(zone).utc(absurd, 0)
        LocalTime(zone).ahead(absurd)
