"""Floor 6: the commands. Each is one file, imported when it is called: `edge-agent --help` imports none of them.

Every command returns its exit code: 0 clean, 2 configuration, 1 anything else.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """The command line with all its commands."""
    from agent.cli import engineering, operating  # noqa: F401 - each adds its commands
    from agent.cli.options import app

    return app


def main() -> None:
    """Run the command that was asked for; leaves with the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unicode_safe(stream)
    application()(prog_name="edge-agent")


def unicode_safe(stream: io.TextIOWrapper) -> None:
    """No tag's name ends a command where the locale cannot write it: files and pipes are UTF-8, as all we read is."""
    stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
