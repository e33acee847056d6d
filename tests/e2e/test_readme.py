"""The README is true: its commands run, its configuration works, its message is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from agent.encoders.schema import readings_schema
from tests.support.pages import Reader, steps
from tests.support.processes import run_process

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Fenced blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of a shell block, without its comment."""
    return [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("target", [line.split()[1] for line in commands() if line.startswith("make ")])
def test_make_targets_exist(target: str) -> None:
    """Make knows what to do for each."""
    result = run_process("make", "--dry-run", target)
    assert result.returncode == 0, result.stderr


def test_the_message_is_a_message() -> None:
    """The example validates against the published schema."""
    (example,) = blocks("json")
    Draft202012Validator(readings_schema()).validate(json.loads(example))


@pytest.mark.timeout(180)
async def test_five_minutes_without_hardware(tmp_path: Path) -> None:
    """Every command ends well, and every line of output in the README is printed, but for its figures."""
    reader = Reader(tmp_path, {})
    (configuration,) = blocks("yaml")
    reader.write("agent.yaml", configuration)
    await reader.read(README[README.index("## Five minutes") :])
    assert reader.done == len([line for line in commands() if not line.startswith("make ")])


def test_start_calls_what_is_run_here_or_in_the_tutorial() -> None:
    """docs/start.md has the README's configuration, and no command that no test runs."""
    page, tutorial = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("start.md", "tutorial.md"))
    run = {step.content.split(" > ")[0] for text in (README, tutorial) for step in steps(text)}
    (written,) = [step.content for step in steps(page) if step.file]
    (configuration,) = blocks("yaml")
    assert yaml.safe_load(written) == yaml.safe_load(configuration)
    assert {step.content.split(" > ")[0] for step in steps(page) if not step.file} <= run


def test_it_is_short() -> None:
    """Under 200 lines: what is longer has a page of its own."""
    assert len(README.splitlines()) < 200
