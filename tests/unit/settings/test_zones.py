from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from agent.settings.zones import check_time_zone, format_utc_offset, parse_utc_offset, zone_of


def test_offsets() -> None:
    """What is read is written again."""
    assert [parse_utc_offset(text) for text in ("+08:00", "-05:30", 0)] == [28_800.0, -19_800.0, 0.0]
    assert [format_utc_offset(parse_utc_offset(text)) for text in ("+8:00", "-05:30", 0)] == ["+08:00", "-05:30", 0]


@pytest.mark.parametrize("value", [8, "8", "+8", "+15:00", "+08:60", "Berlin", False, None])
def test_what_is_no_offset(value: object) -> None:
    """The mistake says what to write."""
    with pytest.raises(ValueError, match=r'write 0, "\+08:00"'):
        parse_utc_offset(value)


def test_zones() -> None:
    """By name, or a fixed offset, or none."""
    assert zone_of(0.0, check_time_zone("Europe/Berlin")) == ZoneInfo("Europe/Berlin")
    assert zone_of(3600.0, None) == dt.timezone(dt.timedelta(hours=1))
    assert zone_of(None, None) is None


@pytest.mark.parametrize("name", ["Berlin", "", "+01:00", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b"])
def test_what_is_no_zone(name: str) -> None:
    """Not a path either."""
    with pytest.raises(ValueError, match="Europe/Berlin"):
        check_time_zone(name)
