"""docs/tutorial.md, from an unknown plant to data at the broker: its commands are run, and print what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import Reader
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PLANT = (ROOT / "configs" / "examples" / "tutorial-plant.yaml").read_text(encoding="utf-8")


@pytest.mark.timeout(240)
async def test_the_tutorial(tmp_path: Path) -> None:
    """Every command ends well and every line of output on the page is printed, but for its figures."""
    reader = Reader(tmp_path, {"5020": str(free_port()), "4841": str(free_port())})
    reader.write("tutorial-plant.yaml", PLANT.replace("../../data", "plant-data"))
    await reader.read(PAGE)
    assert reader.done == len(re.findall(r"^edge-agent ", PAGE, re.MULTILINE))
