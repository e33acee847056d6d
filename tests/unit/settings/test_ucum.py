"""UCUM: what is one, and what people write instead."""

from __future__ import annotations

import pytest

from agent.settings.oddities import odd_keys
from agent.settings.tags import TagBase
from agent.settings.ucum import is_ucum, ucum


@pytest.mark.parametrize(
    "unit",
    ["Cel", "bar", "1/min", "kW.h", "V.A", "m3/h", "%", "1", "{piece}", "{piece}/h", "mm/s2", "[degF]", "10*3/l",
     "/min", "kg.m/s2", "uS/cm", "m3{normal}/h", "dB", "N.m", "mg/l", "[in_i'H2O]", "(kW.h)/m3", "kvar.h"],
)  # fmt: skip
def test_units(unit: str):
    """What plants measure, written as UCUM has it."""
    assert is_ucum(unit)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("°C", "Cel"), ("℃", "Cel"), ("°F", "[degF]"), ("kWh", "kW.h"), ("rpm", "1/min"), ("m³/h", "m3/h"), ("Nm", "N.m"),
     ("W/m²", "W/m2"), ("bars", "bar"), ("Bar", "bar"), ("KPa", "kPa"),
     ("pcs", "{piece}"), ("件", "{piece}"), ("µS/cm", "uS/cm"),
     ("°C/min", "Cel/min"), ("foo", None), ("", None)],
)  # fmt: skip
def test_what_was_meant(written: str, meant: str | None):
    """Not UCUM; where it is known what was meant, that is."""
    assert not is_ucum(written)
    assert ucum(written) == meant
    assert meant is None or is_ucum(meant)


@pytest.mark.parametrize(("unit", "meant"), [("C", '"Cel"'), ("F", '"[degF]"')])
def test_units_that_are_mostly_meant_for_others(unit: str, meant: str):
    """UCUM, but hardly ever what a plant measures: a warning, with what to write."""
    (told,) = odd_keys({"oil": TagBase(unit=unit)})
    assert told.startswith("tags.oil.unit: ")
    assert meant in told
