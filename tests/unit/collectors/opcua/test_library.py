from __future__ import annotations

import subprocess
import sys

_LOADED = """
import asyncio, gc
from agent.collectors.opcua.library import converse

before = gc.get_freeze_count()
asyncio.run(converse())
print(gc.get_freeze_count() - before, len(gc.get_objects()), gc.isenabled())
"""


def test_nobody_looks_for_garbage_in_the_library() -> None:
    """Its objects are set aside once it is there, without what was garbage by then; what comes later is looked at."""
    told = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True, timeout=60)
    aside, others, looks = told.stdout.split()
    assert 30_000 < int(aside) < 150_000
    assert int(others) < 2_000
    assert looks == "True"
