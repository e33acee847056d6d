from __future__ import annotations

import pytest

from agent.collectors.opcua.browse.units import CEFACT, ucum


@pytest.mark.parametrize(
    ("unit_id", "namespace", "written", "unit"),
    [
        (4408652, CEFACT, "°C", "Cel"),
        (4536655, CEFACT, "whatever", None),  # not in the table: what the server writes
        (20529, CEFACT, "%", "%"),
        (17192, CEFACT, "mm/s", "mm/s"),
        (5394509, "urn:vendor", "rpm", "1/min"),  # a number of the vendor's own says nothing
        (-1, "", "m³/h", "m3/h"),
        (-1, "", "µm", "um"),
        (-1, "", "pcs", "pcs"),
        (0, CEFACT, "", None),
    ],
)
def test_units_in_ucum(unit_id: int, namespace: str, written: str, unit: str | None) -> None:
    """By the code of UN/CEFACT, else by the spelling, else as the server writes it: never by a guess."""
    assert ucum(unit_id, namespace, written) == (written if unit is None and written else unit)
