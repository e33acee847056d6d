"""`edge-agent`, also as `python -m agent`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from agent.core.later import UNUSED, postpone


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(0 if number == signal.SIGTERM else 128 + number)


def main() -> None:
    """Entry point of the console script; leaves with the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Likewise, until the command begins: Ctrl-C while modules are imported is no traceback.
        signal.signal(signal.SIGINT, _leave)
    if sys.argv[1:2] in (["run"], ["historian"]):
        # Until the event loop takes it over: PID 1 of a container has no default action, so a SIGTERM during the
        # imports would be lost, and the container killed after its grace period. Nothing is open yet.
        signal.signal(signal.SIGTERM, _leave)
        postpone(*UNUSED)
    if sys.argv[1:2] == ["run"]:
        # Importing takes most of a second, and a SIGHUP would end us by default. What it asks for is done anyway:
        # nothing of the configuration has been read yet.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from agent.cli import main as command

    command()


if __name__ == "__main__":
    main()
