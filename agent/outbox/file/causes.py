"""Why a disk refuses, in the operating system's words, and what somebody can do about it.

SQLite says `disk I/O error` to most of it. So where it refused, a byte is written beside the file and the system's own
answer is taken.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

from agent.core.private import open_private

_RESTART = "restart the agent where it had to be unmounted for that"
HINTS = {
    errno.ENOSPC: "free disk space; until then only what a broker takes at once is delivered",
    errno.EDQUOT: "free disk space, or raise the quota of the agent's user",
    errno.EFBIG: "raise LimitFSIZE= (ulimit -f), or lower outbox.max_bytes; FAT takes no file above 4 GiB",
    errno.EROFS: f"the kernel does that when a medium fails: check it, mount it writable again, and {_RESTART}",
    errno.EIO: f"the medium fails: check or replace it, and {_RESTART}",
    errno.EACCES: "let the agent's user own data_dir",
    errno.EPERM: "let the agent's user own data_dir; an immutable file (chattr +i) refuses too",
    errno.ENOENT: f"the directory is gone: mount or restore it, and {_RESTART}",
}
_NO_INODES = "no inodes left: delete files, however small"
_NEAR = 64 * 1024  #: bytes below a limit where one more write may pass it


def cause(folder: Path) -> OSError | None:
    """What the system says to a byte written in `folder`; None where it takes it. Blocks."""
    probe = folder / ".probe"
    try:
        handle = open_private(probe)
        try:
            os.write(handle, b"?")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        return error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def outgrown(file: Path) -> OSError | None:
    """Whether the database, its log or its journal stands at the process's limit for files, which no probe shows."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return None
    for one in (file, Path(f"{file}-wal"), Path(f"{file}-journal")):
        with suppress(OSError):
            if one.stat().st_size > limit - _NEAR:
                return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return None


def written_here() -> int | None:
    """Bytes the calling thread has given to the system to write since it began; None where nobody counts them."""
    try:
        with open("/proc/thread-self/io", encoding="ascii") as figures:  # noqa: PTH123 - proc(5)
            return next((int(line.split()[1]) for line in figures if line.startswith("wchar:")), None)
    except (OSError, ValueError):
        return None


def hint_of(error: OSError, folder: Path | None = None) -> str | None:
    """What to do about it. With the `folder` at hand a full disk is told from one that has no inodes left."""
    if error.errno == errno.ENOSPC and folder is not None and no_inodes(folder):
        return _NO_INODES
    return HINTS.get(error.errno or 0)


def no_inodes(folder: Path) -> bool:
    """Whether no file can be made there any more, however much room is left."""
    try:
        figures = os.statvfs(folder)
    except OSError:
        return False
    return figures.f_files > 0 and figures.f_favail == 0  # where they are made as needed (btrfs), f_files is 0
