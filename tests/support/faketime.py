"""A wall clock of its own for a process, by libfaketime: set, stepped, while monotonic time goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


class FakeTime:
    """`environment` for the process; `set` moves its clock at once."""

    def __init__(self, folder: Path) -> None:
        found = [one for place in _PLACES for one in Path("/").glob(place[1:])]
        if not found:
            if os.environ.get("CI") == "true":
                pytest.fail("libfaketime is not installed: apt-get install faketime")
            pytest.skip("libfaketime is not installed: apt-get install faketime, or make test as root")
        self._file = folder / "faketime"
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its mend for an old glibc breaks timed waits with today's, and so the hand-over between Python's threads:
            # 40 % of a core for nothing, and 0.4 of 20 requests a second on a busy machine.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_DONT_RESET": "1",
        }
        self.set(0)

    def set(self, seconds: float) -> None:
        """So many seconds ahead of the machine's clock (behind it: below zero)."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.replace(self._file)
