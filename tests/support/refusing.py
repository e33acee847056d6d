"""A disk that refuses and takes writes again under one process, whose files stay open.

No file system can be asked for that: the kernel remounts none read-only that has files open for writing, and one it
turned read-only itself comes back only after it was unmounted. What comes back by itself (a network share, a virtual
disk whose host has trouble) no test can count on. So the process's own calls are answered.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


class RefusingDisk:
    """`environment` for the process; `refuse` and `accept` work at once."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        library = scratch / "refusing.so"
        self._switch = scratch / "refusing"
        try:
            argv = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
            subprocess.run(argv, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            needs = f"gcc is needed (apt-get install gcc libc6-dev, or make test as root): {error}"
            if os.environ.get("CI") == "true":
                pytest.fail(needs)
            pytest.skip(needs)
        self.environment = {
            "LD_PRELOAD": str(library),
            "REFUSING_FOLDER": str(folder),
            "REFUSING_SWITCH": str(self._switch),
        }

    def refuse(self, number: int = errno.EROFS) -> None:
        """Every write below the folder is answered with this error."""
        new = self._switch.with_suffix(".new")
        new.write_text(f"{number}\n")
        new.replace(self._switch)

    def hang(self) -> None:
        """No write below the folder is answered any more."""
        self.refuse(-1)

    def accept(self) -> None:
        """It is as it was."""
        self._switch.unlink()
