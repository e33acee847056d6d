from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

KILLS = int(os.environ.get("EDGE_WRITER_KILLS", "60"))


@pytest.mark.timeout(max(150, KILLS))
def test_nothing_is_lost_when_the_writer_is_killed(tmp_path):
    """After 200 kill -9 everything handed out is acknowledged, on disk or declared, and no key has two payloads."""
    seed = secrets.randbits(32)
    argv = [sys.executable, "-m", "tests.faults.outbox.killed", str(tmp_path / "route.sqlite"), str(KILLS), str(seed)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=max(140, KILLS), cwd=ROOT, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    verdict = json.loads(done.stdout)
    assert verdict["problems"] == [], f"seed {seed}"
    assert verdict["handed_out"] > 25 * KILLS
