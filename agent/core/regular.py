"""Files that somebody names, or that somebody else may have put there: read where they are files, and not for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class UnfitError(OSError):
    """What has this name is not to be read; `strerror` says why."""


def read_regular(path: Path, most: int) -> bytes:
    """All that a file holds. UnfitError for a pipe, which would be waited for, a device, and more than `most` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise UnfitError(errno.EINVAL, "it is a pipe or a device, no file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        shown = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        raise UnfitError(errno.EFBIG, f"it has more than {shown}", str(path))
    return content
