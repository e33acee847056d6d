"""`edge-agent status`: what is wrong with the agent that runs, since when, what it costs and what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.cli.glance import screen
from agent.cli.mistakes import report
from agent.cli.words import harmless
from agent.config.whereabouts import data_dir_of, is_historian
from agent.core.errors import ConfigError
from agent.runtime.asking import ControlError, NoAgent, call

#: An agent that has not answered by then is asked in vain, seconds.
PATIENCE = 15.0


def status(config: Path, data_dir: Path | None, *, as_json: bool) -> int:
    """0: all well; 1: something is wrong, or it does not answer; 2: no such configuration; 3: no agent runs."""
    try:
        folder = data_dir or data_dir_of(config)
        document = call(folder, "status", None, dict[str, Any], timeout=PATIENCE)
    except ConfigError as error:
        if not as_json:
            report(error, sys.stderr)
        return _failed(2, str(error), as_json=as_json, told=True)
    except NoAgent as error:
        kind = "historian" if data_dir is None and is_historian(config) else "agent"
        return _failed(3, str(error).replace("agent", kind, 1), as_json=as_json)
    except ControlError as error:
        return _failed(1, str(error), as_json=as_json)
    if "historian" in document:
        from agent.cli import historian

        sys.stdout.write(_plain(document) if as_json else historian.screen(document))
        return int(historian.wrong(document))
    sys.stdout.write(_plain(document) if as_json else screen(document))
    return int(any(one["counts"] for one in document["wrong"]))


def _failed(code: int, reason: str, *, as_json: bool, told: bool = False) -> int:
    if as_json:
        sys.stdout.write(_plain({"error": reason}))
    elif not told:
        sys.stderr.write(f"{harmless(reason)}\n")
    return code


def _plain(document: object) -> str:
    """JSON in ASCII: what a terminal might obey is escaped."""
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"
