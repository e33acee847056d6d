"""The tutorials: their commands are run, and print what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.loader import load
from agent.historian.loading import load_historian
from tests.support.pages import Reader, steps
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


@pytest.mark.parametrize("name", ["meters", "convert"])
async def test_those_that_need_no_device(name: str, tmp_path: Path) -> None:
    """Fifty meters, and from Telegraf: as they are read."""
    page = (ROOT / "docs" / f"tutorial-{name}.md").read_text(encoding="utf-8")
    reader = Reader(tmp_path, {})
    reader.write("templates.yaml", (ROOT / "configs" / "templates" / "meters.yaml").read_text(encoding="utf-8"))
    await reader.read(page)
    assert reader.done == len(re.findall(r"^edge-agent ", page, re.MULTILINE))


def test_the_one_to_a_database(tmp_path: Path) -> None:
    """Its two configurations are valid. What the historian does with them, tests/faults/historian shows."""
    page = (ROOT / "docs" / "tutorial-database.md").read_text(encoding="utf-8")
    for step in steps(page):
        if step.file:
            (tmp_path / step.file).write_text(step.content, encoding="utf-8")
    load(tmp_path / "agent.yaml")
    load_historian(tmp_path / "historian.yaml")
