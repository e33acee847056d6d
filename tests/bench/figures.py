"""What all cases share: how often each is measured, how CPU is told, and the file for all figures."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

TURNS = int(os.environ.get("BENCH_TURNS", "3"))
_FILE = os.environ.get("BENCH_JSON")


def cpu_of(pid: int) -> float:
    """Seconds of CPU (user and system) of a process and its threads, those that ended too.

    Its clock (clock_getcpuclockid(3)), as the kernel numbers it. psutil counts in ticks of 10 ms: where 1,000 readings
    a second are read for ten seconds, a tick is a microsecond each.
    """
    return time.clock_gettime(~pid << 3 | 2)


def begin() -> None:
    """Figures of an earlier run are none of this one."""
    if _FILE is not None:
        Path(_FILE).write_text("{}\n")


def keep(case: str, figures: Any) -> None:
    """Add a case to the file that BENCH_JSON names; without one nothing."""
    if _FILE is not None:
        file = Path(_FILE)
        found = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps(found | {case: figures}, indent=1) + "\n")
