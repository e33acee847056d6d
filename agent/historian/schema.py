"""JSON Schema of a historian's configuration; `python -m agent.historian.schema` writes that for editors anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.config.schema import for_people
from agent.historian.config import HistorianConfig


def historian_schema() -> dict[str, Any]:
    """As `edge-agent schema historian` prints it."""
    root = HistorianConfig.model_json_schema()
    return for_people("Configuration of a historian of edge-agent", root, root.pop("$defs"))


def text() -> str:
    """What docs/schema/historian.json holds."""
    return json.dumps(historian_schema(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema")
    (folder / "historian.json").write_text(text(), encoding="utf-8")
