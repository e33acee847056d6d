"""`edge-agent reload`: have the agent apply what its files say now."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from agent.cli.diff import PATIENCE, ask
from agent.cli.words import harmless
from agent.runtime.reload.reload_protocol import ReloadQuestion
from agent.settings.values import parse_duration


def reload(
    config: Path, data_dir: Path | None, *, wait: str | None, as_json: bool = False, patience: float = PATIENCE
) -> int:
    """0: applied (and back); 1: a changed part is not back in time, or no answer; 2: refused; 3: no agent runs."""
    try:
        seconds = None if wait is None else parse_duration(wait)
    except ValueError as error:
        sys.stderr.write(f"--wait: {error}\n")
        return 2
    answer = ask(
        config, data_dir, "reload", partial(ReloadQuestion, wait=seconds),
        as_json=as_json, timeout=patience + (seconds or 0.0),
    )  # fmt: skip
    if isinstance(answer, int):
        return answer
    if answer.report and not as_json:
        back = ", and all changed parts are back" if seconds is not None and not answer.late else ""
        sys.stdout.write(f"applied{back}\n")
    for name, reason in answer.late.items():
        sys.stderr.write(harmless(f"{name} is not back: {reason}") + "\n")
    return 1 if answer.late else 0
