from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.cli.scan import ScanOptions, _told
from agent.core.errors import ConfigError
from agent.workbench.ranges import Span
from agent.workbench.scan import UnitFound, devices_of


@pytest.mark.parametrize(
    ("most", "limit"),
    [
        ({"holding": 20}, 20),
        ({"holding": 125, "input": 60}, 60),
        ({"holding": 40, "input": 60}, 40),
        ({}, None),  # nothing that can be read was refused
        ({"coil": 100}, None),  # bits have a limit of their own
    ],
)
def test_the_smaller_limit_of_registers_counts(most: dict[str, int], limit: int | None) -> None:
    """Where both areas have one."""
    areas = {area: [Span(0, 299)] for area in ("holding", "input", "coil")}
    (device,) = devices_of("tcp://h", [UnitFound(3, areas=areas, most=most)]).values()
    assert device.get("max_registers") == limit


def test_what_cannot_be_written_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What took minutes to find is not thrown away with the file that refuses it."""
    found: Any = SimpleNamespace(found=[UnitFound(3, areas={"holding": [Span(0, 9)]})], left=[], requests=7)
    search = ScanOptions("tcp://h", "3", "0-9", [], None, "1s", output=tmp_path)  # a folder
    with pytest.raises(ConfigError, match="cannot be"):
        _told(search, found)
    assert "holding_0_{n}: {address: 'holding:0..9'}" in capsys.readouterr().out
