"""`edge-agent schema`: JSON Schema (draft 2020-12) of what goes in and of what comes out."""

from __future__ import annotations

import json
import sys
from typing import Literal


def schema(what: Literal["config", "readings", "historian"]) -> int:
    """Print the schema of the configuration with every installed type, of the readings message, or of a historian."""
    if what == "config":
        from agent.config.schema import config_schema

        found = config_schema()
    elif what == "historian":
        from agent.historian.schema import historian_schema

        found = historian_schema()
    else:
        from agent.encoders.schema import readings_schema

        found = readings_schema()
    json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0
