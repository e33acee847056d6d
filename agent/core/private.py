"""Files of the agent's own: readable for its user alone, never written through a link that somebody planted."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import IO

_OURS = 0o600
#: What SQLite puts beside a database.
_BESIDE = ("", "-wal", "-shm", "-journal")


def open_private(path: Path, flags: int = os.O_WRONLY) -> int:
    """A descriptor of the file, made where it is not there. OSError where a link stands in its place."""
    try:
        return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _OURS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link(path) from None
        raise


def create_private(path: Path) -> IO[bytes]:
    """A new file in the place of whatever has this name; a link goes, what it leads to stays as it is."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OURS), "wb")


def write_private(path: Path, data: bytes) -> None:
    """All of it or nothing, in the place of whatever has this name. OSError where that is a folder or a device."""
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "not a file", str(path))
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def refuse_links(database: Path) -> None:
    """OSError where a database, or what SQLite keeps beside it, is a link."""
    for suffix in _BESIDE:
        path = database.with_name(database.name + suffix)
        if path.is_symlink():
            raise _link(path)


def _link(path: Path) -> OSError:
    return OSError(errno.ELOOP, "a symbolic link stands where a file of the agent's belongs; take it away", str(path))
