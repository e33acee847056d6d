"""`python -m agent ...`, which also stops in order when the demo that started it dies, by whatever death.

A module of its own process; it reaches the agent by name, because nothing here may know the floors above.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _stop_with_parent() -> None:
    while os.read(0, 1024):  # until the parent's end of the pipe closes
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    sys.argv[0] = "edge-agent"
    runpy.run_module("agent", run_name="__main__")
