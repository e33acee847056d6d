"""JSON Schemas for editors, kept in docs/schema/; `python -m agent.config.editors` writes them anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.config.schema import config_schema

#: What a file that another one includes may have.
_INCLUDED = ("include", "publishers", "devices", "devices_file", "templates")


def schemas() -> Mapping[str, str]:
    """Name of the file → JSON: the main file, and one that is included."""
    main = config_schema()
    included: dict[str, Any] = {key: value for key, value in main.items() if key != "required"}
    included["title"] = "A file that a configuration of edge-agent includes"
    included["properties"] = {key: main["properties"][key] for key in _INCLUDED}
    found = {"config.json": main, "included.json": included}
    return {name: json.dumps(schema, ensure_ascii=False, indent=1) + "\n" for name, schema in found.items()}


if __name__ == "__main__":
    for _name, _text in schemas().items():
        (Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema") / _name).write_text(_text, encoding="utf-8")
