"""`edge-agent`, also as `python -m agent`."""

from __future__ import annotations

import gc
import signal
import sys

#: A collection of garbage every 700 new objects (Python's own) looks through imports, models and plans again and again,
#: and finds next to nothing: what is garbage here is small, and mostly has no cycles (docs/performance.md).
_NEW_OBJECTS = 10_000


def main() -> None:
    """Entry point of the console script; leaves with the exit code."""
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
    if sys.argv[1:2] == ["run"]:
        # Importing takes most of a second, and a SIGHUP would end us by default. What it asks for is done anyway:
        # nothing of the configuration has been read yet.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from agent.cli import main as command

    command()


if __name__ == "__main__":
    main()
