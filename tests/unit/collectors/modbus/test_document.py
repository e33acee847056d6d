from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.collectors.modbus.blocks.reactions import reaction_to
from agent.config.loader import load
from agent.core.quality import name_of

DOC = Path(__file__).resolve().parents[4] / "docs" / "modbus.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_load(number: int, tmp_path: Path) -> None:
    """Every configuration in docs/modbus.md is one."""
    (tmp_path / "agent.yaml").write_text(EXAMPLES[number], encoding="utf-8")
    assert load(tmp_path / "agent.yaml", {}).config.devices


def test_the_exceptions_are_those_of_the_code() -> None:
    """The table says of each exception code what the code makes of it."""
    rows = re.findall(
        r"^\| ((?:[0-9A-F]{2}(?:, )?)+) \| .*? \| (Bad\w+) \|", DOC.read_text(encoding="utf-8"), re.MULTILINE
    )
    found = {int(code, 16): status for codes, status in rows for code in codes.split(", ")}
    assert found == {code: name_of(reaction_to(code).status) for code in (1, 2, 3, 4, 5, 6, 8, 0x0A, 0x0B)}
