"""docs/opcua.md shows keys that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from agent.config.loader import load

DOC = Path(__file__).resolve().parents[4] / "docs" / "opcua.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_load(number: int, tmp_path: Path) -> None:
    """Each is part of a device that works with it."""
    device = yaml.safe_load(EXAMPLES[number])
    if "reverse" not in device:
        device["url"] = "opc.tcp://192.0.2.30:4840"
    if "password_file" in device:
        (tmp_path / "secret").write_text("s3cret")
        device["password_file"] = "secret"
    device |= {"type": "opcua", "tags": {"speed": {"node": "ns=2;s=Speed"}}}
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"agent": {"id": "gw-01"}, "devices": {"cnc-07": device}}))
    assert load(tmp_path / "agent.yaml", {}).config.devices


def test_there_are_examples() -> None:
    """Of security, browsing, servers that call, and events."""
    assert {key for one in EXAMPLES for key in yaml.safe_load(one)} >= {"security", "browse", "reverse", "events"}
