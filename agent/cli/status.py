"""`edge-agent status`: what is wrong with the agent that runs, since when, what it costs and what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agent.cli.glance import screen
from agent.cli.running import Running, UnreachableError, document

#: An agent that has not answered by then is asked in vain, seconds.
PATIENCE = 15.0


def status(config: Path, data_dir: Path | None, *, as_json: bool) -> int:
    """0: all well; 1: something is wrong, or it does not answer; 2: no such configuration; 3: no agent runs."""
    try:
        running = Running(config, data_dir, as_json=as_json)
        told = running.ask("status", None, dict[str, Any], timeout=PATIENCE)
    except UnreachableError as error:
        return error.code
    if as_json:
        document(told)
    if "historian" in told:
        from agent.cli import historian

        wrong, shown = historian.wrong(told), historian.screen
    else:
        wrong, shown = any(one["counts"] for one in told["wrong"]), screen
    if not as_json:
        sys.stdout.write(shown(told))
    return int(wrong)
