"""Files below `pki/`: written whole, and readable for the agent, also where root's command wrote them.

The agent runs as a user of its own; `sudo edge-agent trust` does not. So what root makes belongs to the owner of the
folder it is made in.
"""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """This folder, and those above it that are missing."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    give_to_owner(path)


def write_durably(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """A new file that survives a power cut; it must not exist yet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        give_to_owner(path, file.fileno())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def give_to_owner(path: Path, descriptor: int | None = None) -> None:
    """What root has made: to the owner of the folder it lies in."""
    if os.geteuid() != 0:
        return
    about = path.parent.stat()
    if descriptor is not None:
        os.chown(descriptor, about.st_uid, about.st_gid)
    else:
        os.chown(path, about.st_uid, about.st_gid, follow_symlinks=False)
