# noqa: INP001 - a script, and what hatchling asks for the version
"""Prints the version of this source: its git tag is the only place where one stands.

    v1.2.3           1.2.3
    v1.2.3, changed  1.2.3+dirty
    v1.2.3 and more  1.2.3.post4+g0a1b2c3      four commits after the tag
    no tag           0.0.0+g0a1b2c3

EDGE_AGENT_VERSION goes before it: for builds without a repository, as in the Dockerfile. An sdist knows its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_DESCRIBED = re.compile(r"(?:v(?P<tag>[0-9][^-]*)-(?P<after>\d+)-)?(?P<commit>g?[0-9a-f]+)(?P<dirty>-dirty)?")


def version() -> str:
    """As packages are numbered (PEP 440); 0.0.0 where nothing is known."""
    if given := os.environ.get("EDGE_AGENT_VERSION"):
        return given.removeprefix("v")
    # not the tag of a repository that this source was unpacked into
    return numbered(described()) if (ROOT / ".git").exists() else "0.0.0"


def described() -> str:
    """What git says; empty where it is not there, or refuses."""
    command = ["git", "-C", str(ROOT), "describe", "--tags", "--match", "v[0-9]*", "--long", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""


def numbered(text: str) -> str:
    """The version for what `git describe --long --always --dirty` answers."""
    found = _DESCRIBED.fullmatch(text)
    if not found:
        return "0.0.0"
    tag, after, commit, dirty = found.group("tag", "after", "commit", "dirty")
    exact = after == "0"
    local = [*([] if exact else ["g" + commit.removeprefix("g")]), *(["dirty"] if dirty else [])]
    return f"{tag or '0.0.0'}{'' if exact or not tag else f'.post{after}'}{'+' if local else ''}{'.'.join(local)}"


if __name__ == "__main__":
    print(version())  # noqa: T201
