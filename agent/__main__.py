"""`edge-agent`, also as `python -m agent`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Entry point of the console script; leaves with the exit code."""
    if sys.argv[1:2] == ["run"]:
        # Importing takes most of a second, and a SIGHUP would end us by default. What it asks for is done anyway:
        # nothing of the configuration has been read yet.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from agent.cli import main as command

    command()


if __name__ == "__main__":
    main()
