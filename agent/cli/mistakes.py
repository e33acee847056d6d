"""Mistakes of a configuration, one a line."""

from __future__ import annotations

from typing import IO

from agent.core.errors import ConfigError
from agent.core.text import harmless

_MOST = 200  #: who has more reads the first ones first


def report(error: ConfigError, out: IO[str]) -> None:
    """Write every mistake as `file:line: what was found -> what to write`, and their number."""
    for mistake in error.mistakes[:_MOST]:
        out.write(f"{harmless(str(mistake))}\n")
    number = len(error.mistakes)
    if number > _MOST:
        out.write(f"… and {number - _MOST} more\n")
    out.write(f"{number} mistake{'s' if number > 1 else ''}\n")
