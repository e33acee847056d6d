# noqa: INP001 - a script
"""Which wheel each locked package of the image has for each machine and Python: deploy/lock/wheels.json.

    python deploy/wheels.py > deploy/lock/wheels.json

`make lock` calls it. pip is asked what it would install from deploy/lock/runtime.txt, for which it needs metadata only.
A package without a wheel for one of them ends it with pip's own words. A test holds the file against the lock.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

LOCK = Path(__file__).parent / "lock" / "runtime.txt"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
#: manylinux of the glibc in the image's base (Debian 12: 2.36), and all before.
PLATFORMS = [*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1"]


def wheels(lock: str, python: str, machine: str) -> dict[str, str]:
    """File name of each package's wheel, and its hash."""
    done = subprocess.run(  # noqa: S603 - no shell, our words
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-", "--ignore-installed",
            "--target=unused", "--only-binary=:all:", "--no-deps", "--require-hashes", f"--requirement={lock}",
            f"--python-version={python}", *(f"--platform={one}_{machine}" for one in PLATFORMS),
        ],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"wheels: no complete set for Python {python} on {machine} (see above)")
    found = [one["download_info"] for one in json.loads(done.stdout)["install"]]
    return dict(sorted((one["url"].rpartition("/")[2], one["archive_info"]["hashes"]["sha256"]) for one in found))


if __name__ == "__main__":
    with NamedTemporaryFile("w", suffix=".txt") as everywhere:
        # pip would judge markers by the Python that runs it
        everywhere.write(re.sub(r" ; [^\\\n]+", " ", LOCK.read_text()))
        everywhere.flush()
        everything = {
            f"{one} {machine}": wheels(everywhere.name, one, machine) for one in PYTHONS for machine in MACHINES
        }
    sys.stdout.write(json.dumps(everything, indent=1) + "\n")
